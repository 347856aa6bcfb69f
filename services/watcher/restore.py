"""After a start: which drifts are open, read from the topic that this watcher itself writes.

Without it a restart would open every drift a second time and never close those that were corrected meanwhile.
"""

from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from schemas.events import DriftCleared, DriftDetected, Event, parse_event
from schemas.topics import TopicName
from services.kube.objects import ObjectKey
from services.runtime.kafka import cluster_partition, make_consumer, started
from services.runtime.logging import Log


def key_of_target(drift: DriftDetected | DriftCleared) -> ObjectKey:
    """The object that a drift is about."""
    target = drift.target
    return ObjectKey(target.group, target.kind, target.namespace, target.name)


@dataclass
class Told:
    """What the topic says: drifts that are open, and the id of each object's last drift that has ended."""

    drifts: dict[ObjectKey, DriftDetected] = field(default_factory=dict)
    ended: dict[ObjectKey, str] = field(default_factory=dict)

    def replay(self, value: bytes | None, cluster: str, log: Log) -> None:
        """Take one record in."""
        try:
            event: Event[Any] | None = parse_event(value or b"")
        except ValueError:
            log.warning("a drift record cannot be read and is left to the dead letters of who consumes it")
            return
        drift = event.data if event else None
        if not isinstance(drift, DriftDetected | DriftCleared) or drift.target.cluster != cluster:
            return
        key = key_of_target(drift)
        if isinstance(drift, DriftDetected):
            self.drifts[key] = drift
            return
        self.ended[key] = drift.drift_id
        if key in self.drifts and self.drifts[key].drift_id == drift.drift_id:
            del self.drifts[key]


async def read_told(bootstrap: str, cluster: str, count: int, log: Log) -> Told:
    """Read the cluster's partition of `setpoint-drift` from its beginning to its end as of now.

    `count` is the partition count of the topics that are keyed by cluster.
    """
    told = Told()
    consumer = make_consumer(bootstrap, client_id="setpoint-watcher-restore", fetch_max_wait_ms=100)
    async with started(consumer):
        partition = TopicPartition(TopicName.DRIFT, cluster_partition(cluster, count))
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    told.replay(record.value, cluster, log)
    return told
