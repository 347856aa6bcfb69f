"""Prove what must hold after a chaos test, from the topics, the folder of the engine, the logs and the cluster.

Every function gives its findings in words; no findings, no defect. All of it is read after the services have ended.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.events import ActionFinished, ActionStarted, DecisionMade, DriftDetected, MetricSampled, Verdict
from schemas.topics import RECORDED, TopicName
from tests.chaos.history import History, Row
from tests.chaos.service import read_log
from tests.chaos.topics import Commits, Topics, readable

DEFECTS = (
    "the service failed", "the service cannot go on", "action crashed", "an object could not be judged",
    "an object could not be compared at once", "the broker dropped records",
)  # fmt: skip
FOLDER_TAKEN = "Code: 76."  # the engine's own line, past our logs, when another process has its folder
Place = tuple[str, int, int]


def decisions(topics: Topics) -> Iterator[str]:
    """No decision twice, and each one that acts has its one action."""
    made: list[DecisionMade] = topics.data(DecisionMade)
    yield from _twice("decision", [decision.decision_id for decision in made])
    yield from _twice("event", [event.id for event in topics.events() if isinstance(event.data, DecisionMade)])
    started: list[ActionStarted] = topics.data(ActionStarted)
    acts = Counter(str(decision.action_id) for decision in made if decision.verdict is Verdict.ACT)
    yield from _differ("decisions that act", acts, "actions started", Counter(one.action_id for one in started))


def actions(topics: Topics) -> Iterator[str]:
    """Exactly one end for each start; nothing under way in the ledger."""
    started = Counter(one.action_id for one in topics.data(ActionStarted))
    finished = Counter(one.action_id for one in topics.data(ActionFinished))
    yield from _twice("action.started", list(started.elements()))
    yield from _differ("actions started", started, "actions finished", finished)
    for subject, row in topics.ledger().items():
        if row.in_flight:
            yield f"the ledger has {row.in_flight.action_id} of {subject} under way"


def recorded(topics: Topics, commits: Commits, history: History) -> Iterator[str]:
    """Every readable record below the recorder's commits has its row once, as it was; and there is no other row."""
    below = {(place.topic, place.partition): commit.offset for place, commit in commits.items()}
    yield from (f"an intent was left open: {place} {found}" for place, found in commits.items() if found.metadata)
    wanted: dict[Place, Any] = {}
    samples: Counter[tuple[Place, int]] = Counter()
    for record in topics.of(*RECORDED):
        event = readable(record)
        if record.offset >= below.get((record.topic, record.partition), 0):
            if record.topic != TopicName.METRICS:  # the last samples come after the recorder's end
                yield f"not passed by the recorder: {record.place}"
        elif event is not None:
            sampled = event.data if isinstance(event.data, MetricSampled) else None
            wanted[record.place] = _kept(record.value or b"", sampled is not None)
            samples.update((record.place, index) for index in range(len(sampled.samples) if sampled else 0))
    told = [row for row in history["events"] if row["topic"] != TopicName.DEAD_LETTER]
    rows = Counter(_place(row) for row in told)
    yield from _differ("records", Counter(list(wanted)), "rows", rows)
    changed = [_place(row) for row in told if wanted.get(_place(row)) != json.loads(row["payload"])]
    yield from (f"the row of {place} is not its record" for place in changed[:5])
    found = Counter((_place(row), int(row["sample"])) for row in history["metrics"])
    yield from _differ("samples", samples, "rows of metrics", found)


def views(topics: Topics, commits: Commits, history: History) -> Iterator[str]:
    """What people read says the same as the topics."""
    doubled = [row for row in history["completeness"] if row["doubled"]]
    if doubled:
        yield f"completeness has doubled rows: {doubled}"
    if sum(int(row["rows"]) for row in history["completeness"]) != len(history["events"]):
        yield "completeness does not count every row"
    finished = {one.action_id: str(one.outcome) for one in topics.data(ActionFinished)}
    if finished != {row["action_id"]: row["outcome"] for row in history["actions"]}:
        yield "the view of actions is not what the topic says"
    if {one.decision_id for one in topics.data(DecisionMade)} != {row["decision_id"] for row in history["decisions"]}:
        yield "the view of decisions is not what the topic says"
    lives = {one.drift_id for one in topics.data(DriftDetected)}
    for view in ("drift_intervals", "time_to_correct"):
        yield from _differ("drifts", Counter(lives), view, Counter(str(row["drift_id"]) for row in history[view]))


def secrets(markers: Iterable[str], topics: Topics, history: History, folders: Iterable[Path]) -> Iterator[str]:
    """None of the markers in a record, a row, or a file below the folders (the broker's own, and all logs)."""
    for marker in markers:
        needle = marker.encode()
        for record in topics.records:
            if needle in (record.value or b"") or needle in (record.key or b""):
                yield f"a Secret's value is in {record.place}"
        if marker in history.text:
            yield "a Secret's value is in ClickHouse"
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        yield from (f"a Secret's value is in {path}" for path in files if needle in path.read_bytes())


def logs(paths: Iterable[Path]) -> Iterator[str]:
    """No line that tells of a defect of ours, no traceback, and no line that is not JSON.

    What aiokafka itself calls an error is what is done to it here: a coordinator that is away, a group that moved on.
    """
    for path in paths:
        for line in read_log(path):
            ours = not str(line.get("logger", "")).startswith("aiokafka")
            wrong = line.get("level") in ("error", "critical") and ours and not line["event"].startswith(FOLDER_TAKEN)
            if wrong or line.get("event") in DEFECTS or "exception" in line:
                yield f"{path.name}: {str(line)[:1500]}"


def _kept(value: bytes, sampled: bool) -> Any:
    """What the row has of a record: all of it, but samples, which have rows of their own."""
    event = json.loads(value)
    if sampled:
        event["data"]["samples"] = []
    return event


def _place(row: Row) -> Place:
    return row["topic"], int(row["kafka_partition"]), int(row["kafka_offset"])


def _twice(what: str, ids: list[str]) -> Iterator[str]:
    yield from (f"{what} {id} is there {count} times" for id, count in Counter(ids).items() if count > 1)


def _differ(one: str, first: Counter[Any], other: str, second: Counter[Any]) -> Iterator[str]:
    """The first few that one has more often than the other."""
    for name, more, less, rest in ((one, first, other, second), (other, second, one, first)):
        over = list((more - rest).elements())
        if over:
            yield f"{len(over)} of {name} are not among {less}, such as {over[:3]}"
