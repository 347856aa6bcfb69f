"""The services' own metrics over a generated week: the same names, labels and sources as running services publish,
from one replica of each service and two of the recorder."""

import math
from typing import NamedTuple

from schemas.topics import RECORDED, TopicName
from services.recorder.store import Store
from tests.week_sql import MS, SECOND, Raw, Text, document, envelope, id_sql, quoted

EVERY_S = 15
MOST_POINTS = 50_000


class Series(NamedTuple):
    """One series: `base` at the start, `a_second` more with every second, and `wave` up and down over a day."""

    source: str
    name: str
    labels: dict[str, str]
    base: float = 0.0
    a_second: float = 0.0
    wave: float = 0.0


def _series() -> list[Series]:
    made = []
    for kind, many in (("Deployment", 400), ("StatefulSet", 100), ("ConfigMap", 100), ("Service", 100)):
        made.append(Series("watcher", "setpoint_watched_objects", {"kind": kind}, many, 0, many / 50))
    for baseline in ("platform", "payments", "shop", "edge"):
        made.append(Series("watcher", "setpoint_open_drifts", {"baseline": baseline}, 6, 0, 4))
    for event, rate in (("detected", 0.03), ("cleared", 0.03), ("updated", 0.006)):
        made.append(Series("watcher", "setpoint_drift_events_total", {"event": event}, 0, rate))
    for verdict, reason, rate in (("act", "policy", 0.03), ("ask", "approval", 0.004), ("deny", "fight", 0.001)):
        made.append(Series("reconciler", "setpoint_decisions_total", {"verdict": verdict, "reason": reason}, 0, rate))
    made.append(Series("reconciler", "setpoint_actions_in_flight", {}, 2, 0, 2))
    made.append(Series("reconciler", "setpoint_step_seconds_sum", {}, 0, 0.002))
    made.append(Series("reconciler", "setpoint_step_seconds_count", {}, 0, 1))
    for place, topic in enumerate(RECORDED):
        labels = {"topic": topic, "instance": f"recorder-{place % 2}"}
        made.append(Series("recorder", "setpoint_rows_total", labels, 0, 4 if topic == TopicName.CHANGES else 0.1))
        made.append(Series("recorder", "setpoint_record_lag", labels, 20, 0, 20))
    made.append(Series("recorder", "setpoint_dead_letters_total", {"topic": TopicName.ALERTS}, 0, 0.0001))
    made.append(Series("recorder", "setpoint_inserts_total", {}, 0, 0.5))
    made.append(Series("recorder", "setpoint_insert_seconds_sum", {}, 0, 0.02))
    made.append(Series("recorder", "setpoint_insert_seconds_count", {}, 0, 0.5))
    made.append(Series("recorder", "setpoint_repairs_total", {}, 0, 0))
    made.append(Series("recorder", "setpoint_buffered_rows", {}, 40, 0, 40))
    for result, rate in (("accepted", 0.2), ("unauthorized", 0.001), ("invalid", 0.0005)):
        made.append(Series("gateway", "setpoint_ingests_total", {"result": result}, 0, rate))
    for source in ("falco", "alertmanager", "grafana"):
        made.append(Series("gateway", "setpoint_ingested_events_total", {"source": source}, 0, 0.05))
    return [one._replace(labels={"instance": f"{one.source}-0", **one.labels}) for one in made]


SERIES = _series()
SOURCES = tuple(sorted({series.source for series in SERIES}))


async def fill_metrics(store: Store, broker: str, span: tuple[int, int], scale: float) -> int:
    """Every series, every 15 seconds or as often as `scale` leaves; how many samples that makes."""
    seconds = (span[1] - span[0]) // SECOND
    step = max(EVERY_S, math.ceil(seconds / MOST_POINTS), round(EVERY_S / scale))
    points = seconds // step
    first = span[1] - (points - 1) * step * SECOND
    samples = 0
    for place, source in enumerate(SOURCES):
        mine = [series for series in SERIES if series.source == source]
        await store.command(_envelopes(source, place, broker, first, step, points))
        await store.command(_samples(mine, place, broker, first, step, points))
        samples += len(mine) * points
    return samples


def _envelopes(source: str, place: int, broker: str, since: int, step: int, points: int) -> str:
    """The records' own rows: the samples are taken out of them, as the recorder does."""
    data = {"source": source, "samples": Raw("'[]'")}
    event = envelope("metric.sampled", f"setpoint/{source}", id_sql(source), "at", data, subject=source,
                     correlationid=Text(id_sql(source)))  # fmt: skip
    return f"""
        INSERT INTO events (payload, broker, topic, kafka_partition, kafka_offset, kafka_time, recorded_at)
        SELECT {document(event)}, {quoted(broker)}, '{TopicName.METRICS}', {place}, n,
            fromUnixTimestamp64Milli(intDiv(at, 1000) + 2, 'UTC'),
            fromUnixTimestamp64Milli(intDiv(at, 1000) + 400, 'UTC')
        FROM (SELECT number AS n, toInt64({since} + n * {step * SECOND}) AS at FROM numbers({points}))
        SETTINGS max_partitions_per_insert_block = 1000, insert_deduplicate = 0"""


def _samples(series: list[Series], place: int, broker: str, since: int, step: int, points: int) -> str:
    rows = ", ".join(
        f"({index}, {quoted(one.name)}, {_labels(one.labels)}, {one.base:.6f}, {one.a_second:.6f}, {one.wave:.6f})"
        for index, one in enumerate(series)
    )
    value = f"s.4 + s.5 * n * {step} + s.6 * sin(2 * pi() * n * {step} / 86400)"
    return f"""
        INSERT INTO metrics
            (time, name, value, labels, source, broker, topic, kafka_partition, kafka_offset, sample, kafka_time)
        SELECT fromUnixTimestamp64Micro(at, 'UTC'), s.2, {value}, s.3, {quoted(series[0].source)}, {quoted(broker)},
            '{TopicName.METRICS}', {place}, n, s.1, fromUnixTimestamp64Milli(intDiv(at, {MS}) + 2, 'UTC')
        FROM (SELECT number AS n, toInt64({since} + n * {step * SECOND}) AS at FROM numbers({points}))
        ARRAY JOIN [{rows}] AS s
        SETTINGS max_partitions_per_insert_block = 1000, insert_deduplicate = 0"""


def _labels(labels: dict[str, str]) -> str:
    pairs = ", ".join(f"{quoted(name)}, {quoted(str(value))}" for name, value in labels.items())
    return f"CAST(map({pairs}), 'Map(String, String)')" if pairs else "CAST(map(), 'Map(String, String)')"
