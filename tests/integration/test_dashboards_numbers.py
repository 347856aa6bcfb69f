"""The key panels' numbers, against a computation of the same in plain Python from the recorded payloads alone."""

import statistics
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.macros import Frame
from services.recorder.dashboards.model import Panel
from tests.integration.dashboards_model import Life, Model, model_of
from tests.integration.dashboards_parts import Filled, filled
from tests.integration.recorder_parts import engine_folder

__all__ = ["engine_folder", "filled"]
pytestmark = pytest.mark.integration
PANELS = {f"{board.title}: {panel.title}": panel for board in DASHBOARDS for panel in board.panels}


@dataclass
class Known:
    """The database, and what Python makes of its payloads."""

    filled: Filled
    model: Model

    async def shown(self, title: str, **frame: Any) -> list[dict[str, Any]]:
        """The rows of a panel, over the whole week."""
        panel = PANELS[title]
        return await self.filled.rows(panel.sql, self.view(panel, **frame))

    def view(self, panel: Panel, interval_s: int | None = None, **variables: Any) -> Frame:
        made = self.filled.frame(panel, **variables)
        return Frame(made.since, made.until, interval_s or made.interval_s, made.variables)

    async def number(self, title: str) -> Any:
        """What a stat shows."""
        [row] = await self.shown(title)
        [value] = row.values()
        return value

    @property
    def until(self) -> datetime:
        return self.filled.week.until + timedelta(minutes=1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(filled: Filled) -> AsyncIterator[Known]:
    """Read once: nothing writes."""
    rows = await filled.rows("SELECT payload FROM events")
    yield Known(filled, model_of(row["payload"] for row in rows))


def open_drifts(known: Known) -> list[Life]:
    return [life for life in known.model.drifts.values() if life.ended is None and life.last["state"] != "unjudged"]


def corrected(known: Known) -> dict[str, Life]:
    return {
        id: life
        for id, life in known.model.drifts.items()
        if life.ended is not None and known.model.last_outcome(id) == "succeeded"
    }


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_open_drifts_are_those_never_cleared(known: Known) -> None:
    """A verdict that could not be had is another number; the oldest by its onset is how long it lasts."""
    still = open_drifts(known)
    assert await known.number("Platform at its setpoint: Open drifts") == len(still) == known.filled.week.open_drifts
    assert await known.number("Platform at its setpoint: Without a verdict") == 1
    oldest = min(stamp(life.first["onset"]) for life in still)
    age = (known.until - oldest).total_seconds()
    assert await known.number("Platform at its setpoint: Open the longest") == pytest.approx(age, abs=1)
    listed = await known.shown("Platform at its setpoint: What is drifting now")
    assert len(listed) == min(len(still) + 1, 500)
    assert [row["onset"] for row in listed] == sorted(row["onset"] for row in listed)


async def test_who_drifts_are_by(known: Known) -> None:
    """The field managers of every report of a life, a drift of two under both."""
    expected = Counter(
        manager for life in known.model.drifts.values() for manager in life.managers or {"(nobody proved)"}
    )
    assert counted(await known.shown("Drift: By field manager")) == expected


@pytest.mark.parametrize(
    ("title", "key"),
    [
        pytest.param("Drift: By kind", "kind", id="kind"),
        pytest.param("Drift: By namespace", "namespace", id="namespace"),
    ],
)
async def test_where_drifts_are(title: str, key: str, known: Known) -> None:
    """A life counts once, however often it was reported; the busiest come first."""
    expected = Counter(life.first["target"][key] for life in known.model.drifts.values())
    shown = counted(await known.shown(title))
    assert {label: expected[label] for label in shown} == shown
    assert sorted(shown.values(), reverse=True) == sorted(expected.values(), reverse=True)[: len(shown)]


async def test_corrected_is_what_an_action_put_right(known: Known) -> None:
    """By the outcome of the last action; over by itself is no correction."""
    right = corrected(known)
    assert await known.number("Platform at its setpoint: Corrected") == len(right) > 0
    rows = await known.shown("Drift: Where the time goes")
    places = Counter(life.first["target"]["namespace"] for life in right.values())
    assert {row["namespace"]: row["corrected"] for row in rows} == places
    busiest = rows[0]
    times = [milliseconds(life) for life in right.values() if life.first["target"]["namespace"] == busiest["namespace"]]
    assert busiest["correct_p50_ms"] == pytest.approx(statistics.median_high(times), abs=0.1)


async def test_a_kind_is_chosen_among_corrections_too(known: Known) -> None:
    """By the object's own kind; every life is counted by how it ended."""
    settings = [life for life in known.model.drifts.values() if life.first["target"]["kind"] == "ConfigMap"]
    shown = counted(await known.shown("Drift: How they ended", kind=("ConfigMap",)))
    assert sum(shown.values()) == len(settings) > 0


async def test_open_over_time_ends_at_what_is_open(known: Known) -> None:
    """A running sum from found and over; every bucket agrees with the lives that reach into its end."""
    rows = await known.shown("Platform at its setpoint: Open drifts over time")
    lives = list(known.model.drifts.values())
    assert rows[-1]["open"] == sum(life.ended is None for life in lives)
    step = timedelta(seconds=known.view(PANELS["Platform at its setpoint: Open drifts over time"]).interval_s)
    for row in rows[:: max(len(rows) // 20, 1)]:
        end = row["time"].replace(tzinfo=UTC) + step
        assert row["open"] == sum(lives_at(life, end) for life in lives)


async def test_questions_that_wait(known: Known) -> None:
    """Asked, not closed, and not ended by time; the others by how they ended."""
    waiting = [
        life for life in known.model.questions.values()
        if life.ended is None and stamp(life.first["ends_at"]) > known.until
    ]  # fmt: skip
    assert await known.number("Platform at its setpoint: Wait for people") == len(waiting) > 0
    expected = Counter(life.end.get("outcome", "open") for life in known.model.questions.values())
    assert counted(await known.shown("Alerts and actions: Questions, by how they ended")) == expected


async def test_open_alerts_last_and_are_not_resolved(known: Known) -> None:
    """What happened at a point in time is never open."""
    still = [life for life in known.model.alerts.values() if life.ended is None and life.last["lasting"]]
    assert await known.number("Platform at its setpoint: Open alerts") == len(still) == known.filled.week.open_alerts


async def test_the_funnel_counts_alerts_and_not_events(known: Known) -> None:
    """Each stage is about the same alerts, so no stage is wider than what fired."""
    model = known.model
    newest: dict[str, tuple[datetime, int, str]] = {}
    for time, data in model.decisions:
        if data.get("alert_id"):
            said = (time, data["evaluation"], data["policy"])
            newest[data["alert_id"]] = max(said, newest.get(data["alert_id"], said))
    begun = [life for life in model.actions.values() if life.first.get("alert_id") and not life.first.get("undoes")]
    expected = {
        "fired": len(model.alerts),
        "a policy decided": sum(bool(policy) for _, _, policy in newest.values()),
        "people were asked": len({life.first.get("alert_id") for life in model.questions.values()} - {None}),
        "acted on": len({life.first["alert_id"] for life in begun}),
        "put right": len({life.first["alert_id"] for life in begun if life.end.get("outcome") == "succeeded"}),
        "resolved": sum(life.ended is not None for life in model.alerts.values()),
    }
    assert counted(await known.shown("Alerts and actions: From alert to outcome")) == expected


async def test_decisions_by_reason(known: Known) -> None:
    """Summed over the buckets, and by policy, the same decisions."""
    expected = Counter(data["reason"] for _, data in known.model.decisions)
    assert summed(await known.shown("Alerts and actions: Decisions, by reason"), "decisions") == expected
    rows = await known.shown("Alerts and actions: Decisions, by policy and reason")
    assert pairs(rows) == Counter((data["verdict"], data["reason"]) for _, data in known.model.decisions)


async def test_actions_by_outcome(known: Known) -> None:
    """By their ends; without one they are under way."""
    expected = Counter(life.end.get("outcome", "under way") for life in known.model.actions.values())
    assert summed(await known.shown("Alerts and actions: Actions, by outcome"), "actions") == expected


@pytest.mark.parametrize("interval_s", [pytest.param(1800, id="rows"), pytest.param(3600, id="roll-up")])
async def test_changes_by_manager_from_rows_and_from_the_roll_up(interval_s: int, known: Known) -> None:
    """Whichever of both is read, the counts are the same."""
    whole_hours = known.filled.week.since.replace(minute=0) + timedelta(hours=1)
    counts = Counter(data["manager"] for time, data in known.model.changes if interval_s < 3600 or time >= whole_hours)
    rows = await known.shown("Changes: By field manager", interval_s=interval_s)
    assert {row["who"]: row["created"] + row["updated"] + row["deleted"] for row in rows} == counts
    over_time = await known.shown("Changes: Changes, by field manager", interval_s=interval_s)
    assert summed(over_time, "changes") == counts


async def test_falcos_rules(known: Known) -> None:
    """Alerts of that source alone, and those of them that were acted on."""
    falco = {id: life for id, life in known.model.alerts.items() if life.first["source"] == "falco"}
    rows = await known.shown("Falco: Rules")
    assert {row["rule"]: row["events"] for row in rows} == Counter(life.first["name"] for life in falco.values())
    acted = {life.first.get("alert_id") for life in known.model.actions.values() if not life.first.get("undoes")}
    assert sum(row["acted_on"] for row in rows) == len(acted & set(falco))
    assert await known.number("Falco: Events") == len(falco)


async def test_how_fast_falcos_alerts_are_acted_on(known: Known) -> None:
    """From the first word of an alert to the end of the last action that was taken because of it."""
    ends: dict[str, datetime] = {}
    for life in known.model.actions.values():
        alert = life.first.get("alert_id")
        if alert and life.ended and not life.first.get("undoes"):
            ends[alert] = max(life.ended, ends.get(alert, life.ended))
    alerts = known.model.alerts
    heard = {id: life.began for id, life in alerts.items() if life.first["source"] == "falco" and life.began}
    took = [(end - heard[id]) / timedelta(milliseconds=1) for id, end in ends.items() if id in heard]
    assert await known.number("Falco: Time to act") == pytest.approx(statistics.median_high(took), abs=0.1)


async def test_what_a_counter_grew_by(known: Known) -> None:
    """From sample to sample, and from 0 where it began anew; the first sample of a series adds nothing."""
    rows = await known.filled.rows(
        "SELECT toString(labels) AS series, time, value FROM metrics WHERE name = 'setpoint_dead_letters_total' "
        "ORDER BY series, time"
    )
    grew = 0.0
    before: dict[str, float] = {}
    for row in rows:
        last = before.get(row["series"])
        grew += 0 if last is None else row["value"] - last if row["value"] >= last else row["value"]
        before[row["series"]] = row["value"]
    assert await known.number("Kafka and the record: Dead letters") == round(grew) > 4


async def test_what_could_not_be_read_is_listed_and_what_came_back_is_told(known: Known) -> None:
    """Each with its place, the newest first; a record that was sent back is one more event, and no letter less."""
    rows = await known.shown("Kafka and the record: Records that could not be read")
    assert len(rows) == known.filled.week.letters + 1  # and the one that is buried at the week's end
    assert [row["buried_at"] for row in rows] == sorted((row["buried_at"] for row in rows), reverse=True)
    told = sum(life.told for life in known.model.alerts.values())
    assert told == known.filled.week.fired
    assert known.filled.week.sent_back > 0


async def test_a_recorder_that_is_gone_is_not_behind(known: Known) -> None:
    """Each series' newest word, of those that said something in the last two minutes that anybody did."""
    rows = await known.filled.rows(
        "SELECT source, toString(labels) AS series, time, value FROM metrics WHERE name = 'setpoint_record_lag' "
        "ORDER BY time"
    )
    newest = {(row["source"], row["series"]): row for row in rows}.values()
    last = max(row["time"] for row in newest)
    alive = [row["value"] for row in newest if row["time"] >= last - timedelta(minutes=2)]
    assert 1 < len(alive) < len(newest)
    assert await known.number("Kafka and the record: Behind by") == round(sum(alive)) >= 40_000


async def test_the_record_is_whole(known: Known) -> None:
    """No row is there twice; and the delay is of the rows' own times."""
    assert await known.number("Kafka and the record: Rows that are there twice") == 0
    rows = await known.shown("Kafka and the record: Delay from event to row")
    [exact] = await known.filled.rows(
        "SELECT quantileExact(0.5)(dateDiff('millisecond', event_time, recorded_at)) AS p50 FROM events"
    )
    assert statistics.median(row["p50"] for row in rows) == pytest.approx(exact["p50"], rel=0.1)


def lives_at(life: Life, time: datetime) -> bool:
    """Whether it has begun and is not over then."""
    return life.began is not None and life.began < time and (life.ended is None or life.ended >= time)


def milliseconds(life: Life) -> float:
    """From the first detection to the end."""
    assert life.began
    assert life.ended
    return (life.ended - life.began) / timedelta(milliseconds=1)


def counted(rows: list[dict[str, Any]]) -> dict[str, int]:
    """A bar's label and its number."""
    return dict(tuple(row.values()) for row in rows)


def summed(rows: list[dict[str, Any]], column: str) -> dict[str, int]:
    """Over all buckets of time."""
    total: Counter[str] = Counter()
    for row in rows:
        total[row["series"]] += row[column]
    return total


def pairs(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Verdict and reason, over all policies."""
    total: Counter[tuple[str, str]] = Counter()
    for row in rows:
        total[row["verdict"], row["reason"]] += row["times"]
    return total
