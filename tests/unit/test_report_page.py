"""The page of a report: whatever the record holds is text in it, and nothing in it reaches out."""

import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from urllib.parse import parse_qs, urlsplit

import pytest
from rich.console import Console

from services.cli.reportview import show
from services.local.report_page.asking import Answer, ask
from services.local.report_page.assets import UPLOT_SHA256, assets, read
from services.local.report_page.page import render
from services.recorder.dashboards.model import Annotation, Colour, Dashboard, Kind, Row, Variable
from services.runtime.errors import Permanent, Temporary
from tests.reports import LOOK, NOON, ROWS, Script, hostile_page, page, panel

ELEMENTS = set(
    "html head meta title style body header h1 h2 h3 h4 p span a button nav main section article div ul li i b bdi "
    "small table thead tbody tr th td svg rect br code script footer".split()
)
REACHING = {"src", "srcset", "action", "data", "poster", "background", "style", "formaction"}


class Seen(HTMLParser):
    """Every element, attribute and text of a page; what stands in scripts and styles apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self.inside: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.inside = dict(attrs) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside is None:
            self.texts.append(data)
        else:
            self.raw.append((self.inside, data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@pytest.fixture(scope="module")
def hostile() -> str:
    return render(hostile_page(), live="6h")


def test_hostile_text_stays_text(hostile: str) -> None:
    """No element, handler or address comes of it; all of it is there to read, control characters by their codes."""
    seen = Seen(hostile)
    assert seen.elements <= ELEMENTS
    assert not [name for name, _ in seen.attributes if name in REACHING or name.startswith("on")]
    assert {value[:2] for name, value in seen.attributes if name == "href"} <= {"#o", "/?"}
    assert any("<script>window.hacked=1</script>" in text for text in seen.texts)
    assert not set("\x00\x07\x1b\u202e\u2028") & set(hostile)


def test_scripts_are_ours_and_data_is_json_that_ends_where_it_should(hostile: str) -> None:
    """Two scripts, known by their hashes; all other blocks parse, with the names as they were."""
    blocks = [(kind.get("type"), text) for kind, text in Seen(hostile).raw]
    scripts = [text for kind, text in blocks if kind is None]
    assert scripts[1:] == list(assets().scripts)
    data = [json.loads(text) for kind, text in blocks if kind == "application/json"]
    marks, drawn = data[0], data[1:]
    assert "<script>window.hacked=1" in marks[0][2]
    assert {one["kind"] for one in drawn} == {"lines", "heat"}
    assert "</script><script>" in next(one["series"][0]["name"] for one in drawn if one["kind"] == "lines")


def test_the_page_allows_itself_and_nothing_else(hostile: str) -> None:
    """The policy has the hash of each text, and no address; hashes are over the exact text of the elements."""
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', hostile)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|https?:|data:|\*", policy)
    assert len(re.findall(r"'sha256-", policy)) == 3


def test_a_file_asks_no_one_for_anything() -> None:
    """No address in it but those of its own parts; no refresh; the rows' links, which need a server, are not there."""
    seen = Seen(render(hostile_page()))
    assert {value for name, value in seen.attributes if name == "href"} == {"#one"}
    assert "refresh" not in {value for _, value in seen.attributes}


def test_a_live_page_leads_to_one_object_and_keeps_what_was_chosen() -> None:
    """A row's link sets its variable; the length of time and the other variables stay."""
    look = replace(LOOK, chosen={"cluster": ["east & west"]})
    made = render(page(Answer(panel(Kind.TABLE), [{"name": "api", "correlation_id": 'a"b&c'}]), look=look), live="7d")
    address = next(value for name, value in Seen(made).attributes if name == "href" and "object" in value)
    assert urlsplit(address).fragment == "one"
    assert parse_qs(urlsplit(address).query) == {
        "since": ["7d"], "var-cluster": ["east & west"], "var-object": ['a"b&c'],
    }  # fmt: skip


def test_the_chart_library_is_as_its_authors_publish_it_and_its_licence_is_in_every_page() -> None:
    """A changed file is seen; MIT asks for the notice in every copy."""
    for name, digest in UPLOT_SHA256.items():
        assert hashlib.sha256(read("vendor", name).encode()).hexdigest() == digest
    assert "Permission is hereby granted" in render(page(Answer(panel(Kind.STAT), [{"n": 1}])))


def test_what_is_empty_and_what_failed_are_told_apart() -> None:
    """Nothing happened, or nothing is known: two different things to a reader."""
    made = render(page(Answer(panel(Kind.BAR)), Answer(panel(Kind.STAT), problem="ClickHouse refused: why")))
    texts = Seen(made).texts
    assert "nothing in this time" in texts
    assert "This could not be read: ClickHouse refused: why" in texts


def test_the_terminal_is_told_nothing_that_it_would_obey() -> None:
    """The same rows on a terminal: no escape sequence that is not rich's own, no bell, no turned reading."""
    out = StringIO()
    show(Console(file=out, width=200, no_color=True, highlight=False), hostile_page())
    said = out.getvalue()
    assert not set("\x00\x07\x1b\u202e\u2028") & set(said)
    assert "window.hacked=1" in said
    assert "could not be read" in said


DASHBOARD = Dashboard(
    "one",
    "One",
    "All",
    (Row("Row", (panel(Kind.STAT, sql="SELECT good WHERE $__conditionalAll(c IN (${c:singlequote}), $c)"),
                 panel(Kind.STAT, sql="SELECT bad WHERE m = ${m:singlequote}"))),),
    (Variable("c", "Cluster", "SELECT clusters"), Variable("m", "Metric", "SELECT metrics", all=False)),
)  # fmt: skip


async def test_each_panel_is_asked_with_the_variables_of_its_dashboard() -> None:
    """All where that can be, else the first that the record has; what was chosen goes before both, quoted."""
    script = Script({"SELECT metrics": [{"name": "it's"}], "SELECT good": [{"n": 1}]})
    made = await ask(script, [DASHBOARD], LOOK, NOON)
    assert script.asked == ["SELECT metrics", "SELECT good WHERE 1=1", "SELECT bad WHERE m = 'it\\'s'"]
    assert [len(answer.rows) for answer in made.answers] == [1, 0]
    chosen = Script({})
    await ask(chosen, [DASHBOARD], replace(LOOK, chosen={"c": ["a", "b'"], "m": ["up"]}), NOON)
    assert chosen.asked == ["SELECT good WHERE c IN ('a','b\\'')", "SELECT bad WHERE m = 'up'"]


async def test_marks_are_those_that_grafana_shows_at_first() -> None:
    """Others would be too many; what could not be read is said, and hides no panel."""
    shown, hidden = (Annotation(name, f"SELECT {name}", Colour.BLUE, shown=name == "a") for name in "ab")
    script = Script({"SELECT a": Temporary("refused"), "SELECT": [{"n": 1}]})
    made = await ask(script, [replace(DASHBOARD, annotations=(shown, hidden))], LOOK, NOON)
    assert (made.sections[0].marks[0].problem, "SELECT b" in script.asked) == ("refused", False)
    assert "a could not be read: refused" in Seen(render(made)).texts


async def test_one_refused_query_does_not_hide_the_others() -> None:
    """It says why in its place."""
    made = await ask(Script({"SELECT bad": Temporary("refused"), "good": [{"n": 1}]}), [DASHBOARD], LOOK, NOON)
    assert [answer.problem for answer in made.answers] == ["", "refused"]


async def test_a_record_that_answers_nothing_is_an_error() -> None:
    """A page full of the same problem helps nobody."""
    with pytest.raises(Permanent, match="no panel could be read: no such table"):
        await ask(Script({"SELECT": Permanent("no such table", "Run 'setpoint migrate'")}), [DASHBOARD], LOOK, NOON)


async def test_progress_counts_panels() -> None:
    """A week of a big platform takes seconds."""
    told: list[int] = []
    await ask(Script({}), [DASHBOARD], LOOK, NOON, told.append)
    assert told == [1, 2]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_panel_is_drawn(kind: Kind) -> None:
    """Also one row alone, as on a platform's first day."""
    made = render(page(Answer(panel(kind), ROWS[kind][:1])))
    assert 'data-state="some"' in made
