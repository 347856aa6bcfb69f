"""The typed form of topics.yaml; reading the file is `services.runtime.topics`' job."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from schemas.base import Duration, StrictModel


class TopicName(StrEnum):
    """Names that code uses; a test holds them against topics.yaml."""

    DRIFT = "setpoint-drift"
    CONTROL = "setpoint-control"
    DECISIONS = "setpoint-decisions"
    ACTIONS = "setpoint-actions"
    LEDGER = "setpoint-ledger"
    CHANGES = "setpoint-changes"
    METRICS = "setpoint-metrics"
    DEAD_LETTER = "setpoint-dead-letter"


RECORDED = tuple(name for name in TopicName if name not in (TopicName.LEDGER, TopicName.DEAD_LETTER))


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
