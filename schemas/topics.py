"""The typed form of topics.yaml; reading the file is `services.runtime.topics`' job."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from schemas.base import Duration, StrictModel


class TopicName(StrEnum):
    """Names that code uses; a test holds them against topics.yaml."""

    DRIFT = "setpoint-drift"
    ALERTS = "setpoint-alerts"
    APPROVALS = "setpoint-approvals"
    CONTROL = "setpoint-control"
    DECISIONS = "setpoint-decisions"
    ACTIONS = "setpoint-actions"
    LEDGER = "setpoint-ledger"
    CHANGES = "setpoint-changes"
    AUDIT = "setpoint-audit"
    METRICS = "setpoint-metrics"
    SAMPLES = "setpoint-samples"
    DEAD_LETTER = "setpoint-dead-letter"


UNRECORDED = (TopicName.LEDGER, TopicName.DEAD_LETTER, TopicName.AUDIT)
"""State, bytes that nobody could read, and what is only there to be joined: a drift's own events say who was behind it,
and every write of everybody is not ours to keep for a year."""
RECORDED = tuple(name for name in TopicName if name not in UNRECORDED)
RECORDER_READS = (*RECORDED, TopicName.DEAD_LETTER)
"""The dead letters too: not their bytes, but where they stood and why."""


class Topic(StrictModel):
    """One topic. `retention` is None for compacted ones."""

    name: TopicName
    shared: bool = Field(False, description="keyed by cluster, one partition count and partitioner with its siblings")
    compacted: bool = False
    retention: Duration | None = None
    partitions: int | None = None
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    events: tuple[str, ...]

    def config(self) -> dict[str, str]:
        """Kafka's own topic settings."""
        if self.compacted:
            return {"cleanup.policy": "compact"}
        retention = self.retention or timedelta(days=7)
        return {"cleanup.policy": "delete", "retention.ms": str(int(retention.total_seconds() * 1000))}


class Topics(StrictModel):
    """The file."""

    topics: tuple[Topic, ...]
