"""The report in a real browser, over a generated week: every chart shows data, in light and dark, also on a phone.

The page is made by the command, from the embedded engine's read side as `setpoint up` serves it. The browser can reach
loopback only, and what it asks for is counted.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from schemas.events import DriftDetected, DriftState, FieldChange
from services.cli.main import main
from services.local.engine import serve_engine
from services.local.report_page.page import render
from services.local.report_page.serve import KEPT_S, serve_report
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.model import Kind
from tests.browser import Browser, Tab, browser
from tests.fakes import StillClock
from tests.integration.dashboards_parts import API, Filled, filled, put
from tests.integration.recorder_parts import engine_folder
from tests.reports import HOSTILE, hostile_page

__all__ = ["browser", "engine_folder", "filled"]
pytestmark = pytest.mark.integration
PANELS = [panel for dashboard in DASHBOARDS for panel in dashboard.panels]
SCREENS = [
    pytest.param(1280, 900, "light", id="desk-light"),
    pytest.param(1280, 900, "dark", id="desk-dark"),
    pytest.param(390, 844, "light", id="phone-light"),
    pytest.param(390, 844, "dark", id="phone-dark"),
]
CHARTS = """
[...document.querySelectorAll('.plot')].map((place) => {
  const data = JSON.parse(place.querySelector('script').textContent);
  const values = (data.cells ?? data.series.map((one) => one.values)).flat();
  const canvas = place.querySelector('canvas');
  const colour = (index) => getComputedStyle(document.documentElement).getPropertyValue(`--c${index % 12}`).trim();
  const parts = (index) => colour(index).match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const wanted = (data.series ?? [0]).map((_, index) => parts(index));
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const top = place.querySelector('.u-over').offsetTop * canvas.height / canvas.clientHeight;  // marks are above
  let drawn = 0;
  for (let at = Math.ceil(top) * canvas.width * 4; at < pixels.length; at += 4) {
    if (pixels[at + 3] > 200 && wanted.some(([r, g, b]) =>
      Math.abs(pixels[at] - r) + Math.abs(pixels[at + 1] - g) + Math.abs(pixels[at + 2] - b) < 30)) drawn += 1;
  }
  return {title: place.getAttribute('aria-label'), flat: values.every((value) => !value), drawn,
          wide: canvas.clientWidth <= place.clientWidth && canvas.clientWidth > 200};
})
"""
"""Each chart: how many pixels have the colour of one of its series, and whether all of its numbers are zero."""
ALL_DRAWN = "[...document.querySelectorAll('.plot')].every((place) => place.dataset.drawn)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(filled: Filled) -> AsyncIterator[str]:
    """Where other commands read a running `up`; one drift in it is by somebody with a hostile name."""
    await put(filled.store, filled.week.until, hostile_drift(filled.week.until))
    async with serve_engine(filled.store) as address:
        yield address


def hostile_drift(now: datetime) -> DriftDetected:
    """Everything in it that whoever writes to a cluster can choose."""
    field = FieldChange(path=f"/data/{HOSTILE}", kind="changed", desired=HOSTILE, live=HOSTILE, manager=HOSTILE)
    return DriftDetected(
        target=API, drift_id="d-hostile", baseline="shop", state=DriftState.CHANGED, engine="dry-run", fields=(field,),
        message=HOSTILE, onset=now - timedelta(hours=1), detected_at=now - timedelta(hours=1), resource_version="1",
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def file(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the week, as the command writes it."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert await asyncio.to_thread(main, ["report", "--since", "8d", "--html", str(path), "--clickhouse", url]) == 0
    return path


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
async def test_every_chart_shows_data_on_every_screen(
    width: int, height: int, scheme: str, file: Path, browser: Browser
) -> None:
    """Pixels in the series' own colours, in light and dark; nothing wider than the screen; no request, no complaint."""
    async with browser.tab() as tab:
        await tab.look(width=width, height=height, scheme=scheme)
        await tab.open(file.as_uri())
        charts = await tab.evaluate(CHARTS)
        assert len(charts) == sum(panel.kind in (Kind.TIMESERIES, Kind.HEATMAP) for panel in PANELS)
        assert [chart["title"] for chart in charts if not chart["drawn"] and not chart["flat"]] == []
        assert sum(chart["flat"] for chart in charts) <= len(charts) // 5
        assert all(chart["wide"] for chart in charts)
        assert await tab.evaluate("document.documentElement.scrollWidth") == width
        assert (tab.requests, tab.complaints) == ([file.as_uri()], [])
        ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 300) is (scheme == "dark")


async def test_every_other_panel_shows_what_it_read(file: Path, browser: Browser) -> None:
    """Numbers, bars with a length, and rows; nothing failed, and every panel of every dashboard is there."""
    async with browser.tab() as tab:
        await tab.open(file.as_uri())
        states = await tab.evaluate(
            "[...document.querySelectorAll('.panel')]"
            ".map((one) => [one.querySelector('h4').textContent, one.dataset.state])"
        )
        assert [title for title, _ in states] == [panel.title for panel in PANELS]
        assert [title for title, state in states if state != "some"] == []
        assert await tab.evaluate("[...document.querySelectorAll('.number')].every((one) => one.textContent !== '–')")
        longest = (
            "[...document.querySelectorAll('table.bars')].map((one) => Math.max(...[...one.querySelectorAll('rect')]"
        )
        lengths = await tab.evaluate(f"{longest}.map((bar) => bar.getBoundingClientRect().width)))")
        assert len(lengths) == sum(panel.kind is Kind.BAR for panel in PANELS)
        assert min(lengths) > 40


async def test_the_button_turns_the_lights_on_and_off(file: Path, browser: Browser) -> None:
    """The charts follow: they are drawn anew in the other colours."""
    async with browser.tab() as tab:
        await tab.look(width=1280, height=900, scheme="light")
        await tab.open(file.as_uri())
        for lightness in (False, True):
            await tab.evaluate("document.getElementById('theme').click()")
            ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) > 300) is lightness
            assert not [chart for chart in await tab.evaluate(CHARTS) if not chart["drawn"] and not chart["flat"]]


async def test_pointing_at_a_chart_tells_its_values(file: Path, browser: Browser) -> None:
    """Time and each series' number, as on a phone after a tap."""
    async with browser.tab() as tab:
        await tab.look(width=1280, height=900, scheme="light")
        await tab.open(file.as_uri())
        await point(tab)
        told = await tab.evaluate("document.querySelector('.plot .tip:not([hidden])')?.textContent ?? ''")
        assert "UTC" in told, told
        assert "open" in told


async def test_what_was_done_is_marked_on_the_charts(file: Path, browser: Browser) -> None:
    """The dashboards' annotations: each has its stroke, and pointing near it tells what it was."""
    async with browser.tab() as tab:
        await tab.look(width=1280, height=900, scheme="light")
        await tab.open(file.as_uri())
        marks = await tab.evaluate("JSON.parse(document.querySelector('script.marks').textContent)")
        assert {colour for _, colour, _, _ in marks} == {"blue"}
        assert await tab.evaluate("document.querySelector('.plot').dataset.marks") == str(len(marks))
        drawn = "JSON.parse(document.querySelector('.plot script').textContent)"
        share = await tab.evaluate(f"((data) => ({marks[0][0]} - data.from) / (data.to - data.from))({drawn})")
        await point(tab, share)
        assert marks[0][2] in await tab.evaluate("document.querySelector('.plot .tip').textContent")


async def point(tab: Tab, share: float = 0.5) -> None:
    """Move the pointer to a place on the first chart, from its left end."""
    place = await tab.evaluate(
        "(() => { const over = document.querySelector('.u-over'); over.scrollIntoView({block: 'center'}); "
        f"const box = over.getBoundingClientRect(); return [box.x + box.width * {share}, box.y + box.height / 2]; }})()"
    )
    for x in (place[0] + 5, place[0]):
        await tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=place[1])


async def test_hostile_labels_and_messages_run_nothing(tmp_path: Path, browser: Browser) -> None:
    """Every text of every kind of panel is hostile: nothing runs, nothing loads, also not when it is pointed at."""
    file = tmp_path / "hostile.html"
    file.write_text(render(hostile_page()), encoding="utf-8")
    async with browser.tab() as tab:
        await tab.look(width=1280, height=900, scheme="dark")
        await tab.open(file.as_uri())
        await point(tab)
        assert await tab.evaluate("typeof window.hacked") == "undefined"
        assert (
            await tab.evaluate("document.images.length + document.querySelectorAll('[onerror],[onmouseover]').length")
            == 0
        )
        assert "<script>window.hacked=1</script>" in await tab.evaluate("document.querySelector('.tip').textContent")
        assert (tab.requests, tab.complaints) == ([file.as_uri()], [])


async def test_a_hostile_name_in_the_record_is_a_name_on_the_page(file: Path, browser: Browser) -> None:
    """From an event through the engine to the browser: it is there to read, and did nothing."""
    async with browser.tab() as tab:
        await tab.open(file.as_uri())
        assert await tab.evaluate("typeof window.hacked") == "undefined"
        assert await tab.evaluate("document.images.length") == 0
        found = (
            "[...document.querySelectorAll('td')].filter((one) => one.textContent.includes('<script>window.hacked'))"
        )
        assert await tab.evaluate(f"{found}.length") > 0


async def test_the_live_page_leads_from_a_row_to_its_object(url: str, filled: Filled, browser: Browser) -> None:
    """What `up` serves: the same page, asked for anew; a row's link shows the story of that object alone."""
    clock = StillClock(filled.week.until)
    async with serve_report(url, DASHBOARDS, clock) as address, browser.tab() as tab:
        await tab.open(f"{address}?since=7d")
        assert await tab.evaluate(ALL_DRAWN)
        subject, link = await tab.evaluate(
            "(() => { const links = [...document.querySelectorAll('td a')]; "
            "const link = links.find((one) => one.href.includes('object')); "
            "return [new URL(link.href).searchParams.get('var-object'), link.href]; })()"
        )
        await tab.open(link)
        subjects = await tab.evaluate(
            "[...document.querySelectorAll('#setpoint-story table tbody tr')].map((row) => row.textContent)"
        )
        assert subjects
        assert all(subject in row for row in subjects)
        assert {request.partition("?")[0] for request in tab.requests} <= {address, f"{address}favicon.ico"}
        assert not [said for said in tab.complaints if "favicon" not in said]


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        pytest.param("/?since=1h", {}, 200, "<!doctype html>", id="fine"),
        pytest.param("/?since=7d&var-namespace=no%27%29+OR+1", {}, 200, "<!doctype html>", id="quotes"),
        pytest.param("/?since=%3Cscript%3E", {}, 400, "write 1h", id="no-duration"),
        pytest.param("/?since=9999999999999999d", {}, 400, "400d at most", id="too-long"),
        pytest.param("/?since=0s", {}, 400, "write 1h", id="nothing"),
        pytest.param("/", {"Host": "evil.example"}, 403, "this is not", id="another-name"),
        pytest.param("/other", {}, 404, "", id="no-page"),
    ],
)
async def test_the_live_page_answers_its_own_machine_only(
    path: str, headers: dict[str, str], status: int, said: str, url: str, filled: Filled
) -> None:
    """A browser that was pointed here under another name reads nothing; wrong words get right ones back."""
    clock = StillClock(filled.week.until)
    async with serve_report(url, DASHBOARDS[:1], clock) as address:
        found, text, answered = await get(address[:-1] + path, headers)
    assert (found, said in text) == (status, True)
    if status == 200:
        assert "default-src 'none'" in text
        assert (answered["X-Frame-Options"], answered["Cache-Control"]) == ("DENY", "no-store")


async def get(address: str, headers: dict[str, str]) -> tuple[int, str, Mapping[str, str]]:
    """Status, text and headers."""
    async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as answer:
        return answer.status, await answer.text(), answer.headers


async def test_ten_tabs_cost_one_and_a_late_one_is_new(url: str, filled: Filled) -> None:
    """The page is kept for some seconds, and its numbers are never older than those."""
    clock = StillClock(filled.week.until)
    async with serve_report(url, DASHBOARDS[:1], clock) as address, aiohttp.ClientSession() as session:

        async def made() -> str:
            async with session.get(f"{address}?since=1h") as answer:
                return (await answer.text()).partition("<footer>")[2].partition(" UTC")[0]

        first = await asyncio.gather(*(made() for _ in range(10)))
        clock.advance(KEPT_S + 1)
        assert len(set(first)) == 1
        assert await made() not in first


async def test_a_record_that_is_away_is_said_in_the_browser_too() -> None:
    """Nothing listens there: 503, in words."""
    nowhere = "http://127.0.0.1:1/setpoint"
    async with serve_report(nowhere, DASHBOARDS[:1], StillClock()) as address:
        status, text, _ = await get(address, {})
    assert (status, "ClickHouse does not answer" in text) == (503, True)


async def test_the_terminal_form_has_every_panel(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same panels as sparklines, bars and tables; without a terminal no colours."""
    assert await asyncio.to_thread(main, ["report", "--since", "8d", "--clickhouse", url]) == 0
    said = capsys.readouterr().out
    assert [panel.title for panel in PANELS if panel.title not in said] == []
    assert "could not be read" not in said.replace("Records that could not be read", "")
    assert {"▁", "█"} <= set(said)
    assert "\x1b" not in said


async def test_a_report_of_one_dashboard_and_namespace(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not asked for is not read."""
    arguments = ["--since", "8d", "--dashboard", "drift", "--namespace", "orders-1", "--clickhouse", url]
    assert await asyncio.to_thread(main, ["report", *arguments]) == 0
    said = capsys.readouterr().out
    assert "orders-1" in said
    assert "orders-2" not in said
    assert "Falco" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--since", "2999-01-01T00:00:00Z"], 2, "--since is not in the past", id="future"),
        pytest.param(["--dashboard", "other"], 2, "'other' is not one of", id="no-such"),
        pytest.param([], 3, "ClickHouse does not answer", id="away"),
    ],
)
def test_what_cannot_be_shown_is_said_with_its_exit_code(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[Any]
) -> None:
    """2 for wrong use, 3 for a part that is away."""
    assert main(["report", *arguments, "--clickhouse", "http://127.0.0.1:1/gone"]) == code
    assert said in capsys.readouterr().err
