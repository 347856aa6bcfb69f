"""The checks of the chaos tests see what they are for: each fault here is one that a broken product would show."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.base import EventModel
from schemas.events import (
    ActionFinished,
    ActionStarted,
    DecisionMade,
    DriftDetected,
    Mode,
    Outcome,
    Reason,
    TriggerRef,
    Verdict,
    make_event,
)
from schemas.target import Target
from schemas.topics import TopicName
from tests.chaos import verdict
from tests.chaos.estate import make_estate
from tests.chaos.history import History, Row
from tests.chaos.settled import unsettled
from tests.chaos.topics import Told, Topics

pytestmark = pytest.mark.chaos
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TARGET = Target(cluster="c", group="", kind="ConfigMap", namespace="n", name="settings-00")
DECISION = DecisionMade(
    decision_id="d1", target=TARGET, trigger=TriggerRef(type="t", id="e1"), policy="p", mode=Mode.ENFORCE,
    verdict=Verdict.ACT, reason=Reason.POLICY, action_id="a1",
)  # fmt: skip
STARTED = ActionStarted(action_id="a1", decision_id="d1", target=TARGET, action="revert", policy="p", attempt=1)
FINISHED = ActionFinished(
    action_id="a1", target=TARGET, action="revert", policy="p", attempt=1, outcome=Outcome.SUCCEEDED,
    reason=Reason.VERIFIED, started_at=NOW, finished_at=NOW,
)  # fmt: skip
DRIFT = DriftDetected(
    target=TARGET, drift_id="x1", baseline="b", state="changed", engine="local", onset=NOW, detected_at=NOW,
    resource_version="7",
)  # fmt: skip
COMMITS = {TopicPartition("setpoint-actions", 0): OffsetAndMetadata(2, "")}


def told(*data: EventModel) -> Topics:
    """These events, one after the other on one partition of the actions."""
    events = [make_event(one, id=str(id(one)), source="s", subject="s", time=NOW, correlationid="c") for one in data]
    values = [event.model_dump_json().encode() for event in events]
    return Topics(tuple(Told("setpoint-actions", 0, offset, b"k", value) for offset, value in enumerate(values)))


def rows(topics: Topics) -> list[Row]:
    """As the recorder would have them."""
    return [
        {"topic": one.topic, "kafka_partition": one.partition, "kafka_offset": one.offset, "payload": _text(one)}
        for one in topics.records
    ]


def _text(record: Told) -> str:
    return (record.value or b"").decode()


def history(events: list[Row]) -> History:
    return History({"events": events, "metrics": []}, json.dumps(events))


def test_a_good_record_passes() -> None:
    """No check finds anything in what is right."""
    topics = told(STARTED, FINISHED)
    assert list(verdict.actions(topics)) == []
    assert list(verdict.recorded(topics, COMMITS, history(rows(topics)))) == []
    assert list(verdict.decisions(told(DECISION, STARTED))) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((DECISION, DECISION, STARTED), id="decided twice"),
        pytest.param((DECISION,), id="decided and not started"),
        pytest.param((STARTED,), id="started by nobody's decision"),
    ],
)
def test_a_decision_that_is_not_carried_out_once_is_seen(data: tuple[EventModel, ...]) -> None:
    """Each decision once, each with its action."""
    assert list(verdict.decisions(told(*data)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((STARTED,), id="never finished"),
        pytest.param((STARTED, FINISHED, FINISHED), id="finished twice"),
        pytest.param((FINISHED,), id="never started"),
    ],
)
def test_an_action_without_exactly_one_end_is_seen(data: tuple[EventModel, ...]) -> None:
    """Whatever is wrong with it."""
    assert list(verdict.actions(told(*data)))


def test_rows_that_are_not_the_records_are_seen() -> None:
    """Missing, double, another's, changed, not passed, or left under way."""
    topics = told(STARTED, FINISHED)
    good = rows(topics)
    for events in (
        good[:1],
        [*good, good[0]],
        [*good, {**good[0], "kafka_offset": 9}],
        [good[0], {**good[1], "payload": "{}"}],
    ):
        assert list(verdict.recorded(topics, COMMITS, history(events)))
    place = TopicPartition("setpoint-actions", 0)
    assert list(verdict.recorded(topics, {place: OffsetAndMetadata(1, "")}, history(good[:1])))
    assert list(verdict.recorded(topics, {place: OffsetAndMetadata(2, "1:5")}, history(good)))


def test_a_secret_is_seen_wherever_it_is(tmp_path: Path) -> None:
    """In a record, in a row, in a file."""
    clean = History({}, "")
    assert list(verdict.secrets(["hunter2"], Topics((Told("t", 0, 0, None, b"is hunter2"),)), clean, []))
    assert list(verdict.secrets(["hunter2"], Topics(()), History({}, "hunter2"), []))
    (tmp_path / "service.log").write_text("hunter2")
    assert list(verdict.secrets(["hunter2"], Topics(()), clean, [tmp_path]))
    assert not list(verdict.secrets(["hunter3"], Topics(()), clean, [tmp_path]))


def test_a_log_that_tells_of_a_defect_is_seen(tmp_path: Path) -> None:
    """An error, a traceback, or words that are no log line of ours."""
    for number, line in enumerate(('{"event": "x", "level": "error"}', "Traceback (most recent call last):")):
        path = tmp_path / f"{number}.log"
        path.write_text(line + "\n")
        assert list(verdict.logs([path]))
    quiet = tmp_path / "quiet.log"
    quiet.write_text('{"event": "no connection", "level": "error", "logger": "aiokafka"}\n{"event": "torn')
    assert not list(verdict.logs([quiet]))


def test_an_object_that_is_left_without_a_reason_is_seen() -> None:
    """Drifted and untold, told and undecided, or right and never cleared."""
    estate = make_estate("n", "marker")
    live = {thing.place: {"metadata": thing.manifest["metadata"], **thing.manifest} for thing in estate.things}
    assert unsettled(estate, "c", live, Topics(())) == []
    changed = {**live, estate.things[0].place: {**live[estate.things[0].place], "data": {}}}
    assert "no drift is told" in " ".join(unsettled(estate, "c", changed, Topics(())))
    drift = Topics(tuple(Told(TopicName.DRIFT, 0, 0, b"c", one.value) for one in told(DRIFT).records))
    assert "has no reason" in " ".join(unsettled(estate, "c", changed, drift))
    assert "is not cleared" in " ".join(unsettled(estate, "c", live, drift))
