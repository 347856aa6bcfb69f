"""The closed list of metrics, one registry a service, and their way into `setpoint-metrics`.

A name that is not listed here fails mypy and raises KeyError. Label values that matter start at 0, so that a rate over
a failure that has not happened yet is 0 and not absent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.events import MetricSampled, Outcome, Sample
from schemas.topics import TopicName
from services.runtime.instance import INSTANCE

Name = Literal[
    "watched_objects", "watched_kinds", "open_drifts", "watch_events_total", "watch_restarts_total", "relists_total",
    "drift_events_total", "changes_total", "dry_runs_total", "check_seconds", "publish_seconds",
    "alert_events_total", "open_troubles", "unseen_kinds", "followed_logs", "log_lines_total",
    "partitions_owned", "decisions_total", "actions_total", "approvals_total", "actions_in_flight",
    "step_seconds", "transaction_seconds", "action_seconds", "fences_total",
    "rows_total", "inserts_total", "insert_seconds", "replays_total", "repairs_total", "recounts_total",
    "record_lag", "buffered_rows",
    "ingests_total", "refusals_total", "ingested_events_total", "passed_over_total", "ingest_seconds",
    "intake_lag",
    "dead_letters_total", "loop_errors_total",
]  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One entry: Prometheus' type, what it says with its unit, its labels, and label values that start at 0."""

    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    start: tuple[str, ...] = field(default=())


WATCHER: dict[Name, Metric] = {
    "watched_objects": Metric("gauge", "objects under watch, by kind", ("kind",)),
    "watched_kinds": Metric("gauge", "kinds under watch"),
    "open_drifts": Metric("gauge", "drifts that are open, by baseline", ("baseline",)),
    "watch_events_total": Metric("counter", "events from watches, by kind", ("kind",)),
    "watch_restarts_total": Metric(
        "counter",
        "watches that ended and were taken up again",
        ("why",),
        ("closed", "silent", "expired", "refused", "error"),
    ),
    "relists_total": Metric("counter", "full lists of a kind"),
    "drift_events_total": Metric(
        "counter", "drift events published", ("event",), ("detected", "updated", "cleared", "attributed")
    ),
    "changes_total": Metric("counter", "changes published", ("operation",), ("created", "updated", "deleted")),
    "dry_runs_total": Metric("counter", "server-side dry-runs", ("result",), ("ok", "refused", "forbidden")),
    "check_seconds": Metric("histogram", "seconds from an event to its verdict"),
    "publish_seconds": Metric("histogram", "seconds from a verdict to the broker's acknowledgement"),
    "alert_events_total": Metric("counter", "events of alerts that the watcher itself found", ("source", "event")),
    "open_troubles": Metric("gauge", "alerts that are open, of what Kubernetes itself knows", ("alert",)),
    "unseen_kinds": Metric("gauge", "1 where a kind may not be listed, so that its troubles are not seen", ("kind",)),
    "followed_logs": Metric("gauge", "logs of Falco's pods that are followed now"),
    "log_lines_total": Metric(
        "counter",
        "lines of Falco's logs, by what they were",
        ("result",),
        ("alert", "repeat", "internal", "other", "plain-alert", "too-long"),
    ),
}
RECONCILER: dict[Name, Metric] = {
    "partitions_owned": Metric("gauge", "partitions whose ledger this process holds"),
    "decisions_total": Metric("counter", "decisions made", ("verdict", "reason")),
    "actions_total": Metric("counter", "actions ended", ("outcome",), tuple(Outcome)),
    "approvals_total": Metric("counter", "questions to people, and what became of them", ("event",)),
    "actions_in_flight": Metric("gauge", "actions under way"),
    "step_seconds": Metric("histogram", "seconds of one pure step over a batch"),
    "transaction_seconds": Metric("histogram", "seconds of one transaction"),
    "action_seconds": Metric("histogram", "seconds of an action's phase", ("phase",)),
    "fences_total": Metric("counter", "times another owner took a partition over from here"),
}
RECORDER: dict[Name, Metric] = {
    "rows_total": Metric("counter", "rows written", ("topic",)),
    "inserts_total": Metric("counter", "inserts acknowledged"),
    "insert_seconds": Metric("histogram", "seconds of one insert"),
    "replays_total": Metric("counter", "open intents taken up again"),
    "repairs_total": Metric("counter", "rows put back by verification after a replay"),
    "recounts_total": Metric("counter", "hours counted again when partitions were taken up"),
    "record_lag": Metric("gauge", "records not yet in ClickHouse", ("topic",)),
    "buffered_rows": Metric("gauge", "rows read and not yet written"),
}
GATEWAY: dict[Name, Metric] = {
    "ingests_total": Metric(
        "counter",
        "requests, by how they were answered",
        ("result",),
        (
            "accepted",
            "unauthorized",
            "unknown-source",
            "too-large",
            "too-slow",
            "method",
            "rate",
            "connections",
            "invalid",
            "disconnected",
            "unreadable",
            "unsupported",
            "partly",
            "broker-away",
            "failed",
        ),
    ),
    "refusals_total": Metric("counter", "requests that were not taken, by source and reason", ("source", "why")),
    "ingested_events_total": Metric("counter", "events that the broker took, by source", ("source",)),
    "passed_over_total": Metric("counter", "things in accepted requests that make no event", ("source", "why")),
    "ingest_seconds": Metric("histogram", "seconds from a request's head to its answer"),
    "intake_lag": Metric("gauge", "records of a topic that others write, not yet taken in", ("topic", "partition")),
}
EVERYWHERE: dict[Name, Metric] = {
    "dead_letters_total": Metric("counter", "records that could not be read", ("topic",), tuple(map(str, TopicName))),
    "loop_errors_total": Metric("counter", "failures of a service's loop that were tried again"),
}
BY_SERVICE = {"watcher": WATCHER, "reconciler": RECONCILER, "recorder": RECORDER, "gateway": GATEWAY}
METRICS: dict[Name, Metric] = {**WATCHER, **RECONCILER, **RECORDER, **GATEWAY, **EVERYWHERE}
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One service's metrics. `instance` tells them from those of the service's other processes, where they are recorded
    together; on `/metrics` it is not there, since whoever asks knows whom."""

    def __init__(self, service: str, instance: str = "") -> None:
        self.service = service
        self.told_apart = {INSTANCE: instance} if instance else {}
        self.registry = CollectorRegistry()
        self.made: dict[str, Counter | Gauge | Histogram] = {}
        for name in (*BY_SERVICE.get(service, ()), *EVERYWHERE):
            self._get(name)  # a counter that is absent until its first failure cannot be alerted on

    def inc(self, name: Name, amount: float = 1, **labels: str) -> None:
        """Count up."""
        metric = self._get(name)
        assert isinstance(metric, Counter)
        (metric.labels(**labels) if labels else metric).inc(amount)

    def set(self, name: Name, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric = self._get(name)
        assert isinstance(metric, Gauge)
        (metric.labels(**labels) if labels else metric).set(value)

    def observe(self, name: Name, value: float, **labels: str) -> None:
        """Put a duration in seconds into a histogram."""
        metric = self._get(name)
        assert isinstance(metric, Histogram)
        (metric.labels(**labels) if labels else metric).observe(value)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)

    def sampled(self, now: datetime) -> MetricSampled:
        """Everything but histogram buckets and creation times, as one batch for the topic."""
        return MetricSampled(source=self.service, samples=tuple(self._samples(now)))

    def _samples(self, now: datetime) -> Iterable[Sample]:
        for family in self.registry.collect():
            for sample in family.samples:
                if not sample.name.endswith(("_bucket", "_created")):
                    yield Sample(name=sample.name, value=sample.value, time=now, labels=sample.labels | self.told_apart)

    def _get(self, name: Name) -> Counter | Gauge | Histogram:
        if name not in self.made:
            entry = METRICS[name]
            kinds = {"counter": Counter, "gauge": Gauge}
            full = f"setpoint_{name}"
            if entry.type == "histogram":
                self.made[name] = Histogram(full, entry.help, entry.labels, registry=self.registry, buckets=BUCKETS)
            else:
                self.made[name] = kinds[entry.type](full, entry.help, entry.labels, registry=self.registry)
            for value in entry.start:
                self.made[name].labels(value)
        return self.made[name]
