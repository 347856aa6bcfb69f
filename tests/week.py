"""A generated week of a platform, in the migrated schema: lives of drifts and alerts, changes, approvals, metrics,
and some records that nobody could read.

    week = await fill(store)                        seconds: some ten thousand rows
    week = await fill(store, scale=1.0)             some millions of rows, half a minute of CPU time
    week.open_drifts, week.decisions(verdict="ask")  what must be found, counted without the engine

The engine makes the rows from numbers, since every column comes from the payload; the same arguments make the same
events, counted back from `until`. Offsets have gaps only where a record could not be read, and 45 minutes of a
ClickHouse that was away show in the delay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.topics import TopicName
from services.recorder.store import Store
from tests.week_lives import (
    ALERT_FATES,
    DRIFT_FATES,
    MANAGERS,
    UNREADABLE,
    UNREADABLE_EVERY,
    Fate,
    alert_streams,
    drift_streams,
    fate_of,
    onset,
)
from tests.week_metrics import fill_metrics
from tests.week_sql import (
    HOUR,
    MINUTE,
    MS,
    SECOND,
    TARGET,
    Raw,
    Stream,
    Text,
    Time,
    document,
    envelope,
    id_sql,
    object_columns,
    of,
    quoted,
)  # fmt: skip

BROKER = "generated-week"
DRIFTS_A_DAY, ALERTS_A_DAY, CHANGES_A_DAY, PAUSES_A_DAY = 3_000, 4_000, 300_000, 4
SMALL = 0.02
SETTINGS = (
    "SETTINGS max_insert_threads = 2, max_threads = 2, min_insert_block_size_rows = 100000, "
    "max_partitions_per_insert_block = 1000, insert_deduplicate = 0"
)
DERIVED = (
    "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'events' "
    "AND default_kind = 'DEFAULT' AND name != 'recorded_at'"
)
COLUMNS = "payload, broker, topic, kafka_partition, kafka_offset, kafka_time, recorded_at"


@dataclass(frozen=True)
class Week:
    """What was generated, and what must be found in it. Lives are numbered from 0; their fates are in `week_lives`."""

    since: datetime
    until: datetime
    namespaces: int
    drifts: int
    alerts: int
    changes: int
    pauses: int
    samples: int

    @property
    def span(self) -> tuple[int, int]:
        """Both ends in microseconds since 1970."""
        return _micros(self.since), _micros(self.until)

    @property
    def open_drifts(self) -> int:
        """Drifts that were never cleared."""
        return self.count(DRIFT_FATES, self.drifts, lambda n, fate: not fate.ended)

    @property
    def open_alerts(self) -> int:
        """Alerts that last and were not resolved."""
        return self.count(ALERT_FATES, self.alerts, lambda n, fate: not fate.ended and n % 5 in LASTING)

    @property
    def open_approvals(self) -> int:
        """Questions that nobody has answered and that have not ended."""
        return self._both(lambda n, fate: fate.asked == "open")

    @property
    def fights(self) -> int:
        """Decisions that saw a fight."""
        return self.count(DRIFT_FATES, self.drifts, lambda n, fate: fate.reason == "fight")

    @property
    def fired(self) -> int:
        """Times that alerts were told, repeats included, and what could be read at its second try."""
        return sum(1 + n % 4 for n in range(self.alerts)) + self.sent_back

    @property
    def letters(self) -> int:
        """Records that could not be read."""
        return len(range(UNREADABLE, self.alerts, UNREADABLE_EVERY))

    @property
    def sent_back(self) -> int:
        """Those that went back to their topic, and could be read then."""
        return len(range(UNREADABLE, self.alerts, 2 * UNREADABLE_EVERY))

    def approvals(self, asked: str) -> int:
        """Questions that ended like this: approved, denied, expired, open."""
        return self._both(lambda n, fate: fate.asked == asked)

    def decisions(self, verdict: str) -> int:
        """Decisions of this verdict; what was asked or waited for and then done was decided twice."""
        first = self._both(lambda n, fate: fate.verdict == verdict)
        then = self._both(lambda n, fate: fate.verdict != "act" and bool(fate.outcomes))
        return first + (then if verdict == "act" else 0)

    def outcomes(self, outcome: str) -> int:
        """Actions that ended like this."""
        both = ((DRIFT_FATES, self.drifts), (ALERT_FATES, self.alerts))
        return sum(fate_of(fates, n).outcomes.count(outcome) for fates, many in both for n in range(many))

    def count(self, fates: tuple[Fate, ...], lives: int, wanted: Callable[[int, Fate], bool]) -> int:
        """Lives that `wanted` is true of, by number and fate."""
        return sum(wanted(n, fate_of(fates, n)) for n in range(lives))

    def _both(self, wanted: Callable[[int, Fate], bool]) -> int:
        return self.count(DRIFT_FATES, self.drifts, wanted) + self.count(ALERT_FATES, self.alerts, wanted)


LASTING = (1, 2, 4)
"""Which of the five alerts last, by their number: those that are not Falco's."""


async def fill(
    store: Store, days: int = 7, namespaces: int = 100, scale: float = SMALL, until: datetime | None = None
) -> Week:
    """Put a generated time into empty, migrated tables. It ends at `until`, by default the last full minute."""
    end = until or datetime.now(UTC).replace(second=0, microsecond=0)

    def many(a_day: int) -> int:
        return max(100, round(a_day * days * scale))

    pauses = PAUSES_A_DAY * days
    since = end - timedelta(days=days)
    week = Week(
        since, end, namespaces, many(DRIFTS_A_DAY), many(ALERTS_A_DAY), many(CHANGES_A_DAY), pauses,
        await fill_metrics(store, BROKER, (_micros(since), _micros(end)), scale),
    )  # fmt: skip
    streams = [
        *drift_streams(week.drifts, week.span, namespaces),
        *alert_streams(week.alerts, week.span, namespaces),
        *_controls(week),
    ]
    for topic in sorted({stream.topic for stream in streams}):
        await store.command(_in_order(topic, [stream for stream in streams if stream.topic == topic], week.span))
    await _fill_changes(store, week)
    return week


def _in_order(topic: TopicName, streams: list[Stream], span: tuple[int, int]) -> str:
    """One topic's events, with offsets in the order of their times; the second cluster is on a partition of its own.

    A record that could not be read leaves its offset free: its row is one of the dead letters, and names it.
    """
    rows = " UNION ALL ".join(
        f"SELECT {document(stream.event)} AS told, toInt64({stream.at}) AS at, cluster = 'prod-us' AS place_of, "
        f"n * 100 + {index} AS turn, {int(stream.buried)} AS buried FROM {stream.lives} WHERE {stream.where}"
        for index, stream in enumerate(streams)
    )
    numbered = (
        "SELECT *, row_number() OVER (PARTITION BY place_of ORDER BY at, turn) - 1 AS place, "
        f"row_number() OVER (PARTITION BY buried ORDER BY at, turn) - 1 AS letter FROM ({rows})"
    )
    payload = "replaceAll(replaceAll(told, '@offset', toString(place)), '@letter', toString(letter))"
    placed = _placed(
        f"if(buried, '{TopicName.DEAD_LETTER}', '{topic}')",
        "if(buried, 0, place_of)",
        "if(buried, letter, place)",
        span,
    )
    return (
        f"INSERT INTO events ({COLUMNS}) SELECT {placed} "
        f"FROM (SELECT *, if(buried, {payload}, told) AS payload FROM ({numbered})) {SETTINGS}"
    )


async def _fill_changes(store: Store, week: Week) -> None:
    """The most of all rows; they are in the order of their times already. Their columns are given beside the payload,
    since taking them out of it costs five times as much; a test holds the two against each other."""
    rows = f"""(
        SELECT number AS n, {object_columns("cityHash64(n, 'changed')", week.namespaces)},
            {onset(week.span, str(week.changes))} AS at, {id_sql("change")} AS id, id AS correlation
        FROM numbers({week.changes})
    )"""
    manager = of((*MANAGERS, "setpoint", "kube-controller-manager"), "n % 7")
    operation = "if(n % 40 = 0, 'created', if(n % 40 = 1, 'deleted', 'updated'))"
    paths = "if(n % 3 = 0, ['/spec/replicas'], ['/spec/template/spec/containers/0/image', '/metadata/labels/version'])"
    data = {
        "target": TARGET, "operation": Text(operation), "resource_version": Text("toString(1000000 + n)"),
        "paths": Raw(f"toJSONString({paths})"), "manager": Text(manager), "time": Time("at"),
    }  # fmt: skip
    event = document(envelope("change.observed", "setpoint/watcher", "id", "at", data))
    given = {
        "event_id": "id", "event_time": "fromUnixTimestamp64Micro(at, 'UTC')", "event_type": "'change.observed.v1'",
        "source": "'setpoint/watcher'", "correlation_id": "id", "state": operation, "manager": manager, "paths": paths,
    } | {name: name for name in ("subject", "cluster", "api_group", "kind", "namespace", "name")}  # fmt: skip
    for name, kind in await store.query(DERIVED):
        given.setdefault(str(name), f"defaultValueOfTypeName({quoted(str(kind))})")
    placed = _placed(quoted(TopicName.CHANGES), "n % 2", "intDiv(n, 2)", week.span)
    await store.command(
        f"INSERT INTO events ({COLUMNS}, {', '.join(given)}) SELECT {placed}, {', '.join(given.values())} "
        f"FROM (SELECT {event} AS payload, * FROM {rows}) {SETTINGS}"
    )


def _controls(week: Week) -> list[Stream]:
    """Pauses, each lifted an hour later."""
    rows = f"""(
        SELECT number AS n, {object_columns("cityHash64(n, 'paused')", week.namespaces)},
            {onset(week.span, str(week.pauses))} AS t0, least({week.span[1]}, t0 + {HOUR}) AS t1,
            concat('release-', toString(n)) AS pause, {id_sql("control")} AS id, id AS correlation
        FROM numbers({week.pauses})
    )"""
    scope = {"cluster": Text("cluster"), "namespace": Text("namespace"), "subject": None}
    common: dict[str, Any] = {"name": Text("pause"), "scope": scope, "by": "ana"}
    subject = Text("concat(cluster, '/', pause)")
    given = common | {"kind": "pause", "until": Time("t1"), "reason": "rolled out by hand"}
    pause = envelope("control.set", "setpoint/cli", "id", "t0", given, subject=subject)
    lift = envelope("control.removed", "setpoint/cli", "concat(id, '-over')", "t1", common, subject=subject)
    return [Stream(TopicName.CONTROL, rows, "t0", pause), Stream(TopicName.CONTROL, rows, "t1", lift)]


def _placed(topic: str, partition: str, offset: str, span: tuple[int, int]) -> str:
    """The recorder's columns around `payload` and `at`; all but the span are expressions."""
    away = span[0] + (span[1] - span[0]) // 3
    recorded = f"if(at BETWEEN {away} AND {away + 45 * MINUTE}, {away + 46 * MINUTE}, at)"
    delay = f"{180 * MS} + toInt64(cityHash64(payload) % {SECOND})"
    return (
        f"payload, '{BROKER}', {topic}, {partition}, {offset}, "
        "fromUnixTimestamp64Milli(intDiv(at, 1000) + 2, 'UTC'), "
        f"fromUnixTimestamp64Milli(intDiv({recorded} + {delay}, 1000), 'UTC')"
    )


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
