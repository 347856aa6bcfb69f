"""After a start: which drifts are open, read from the topic that this watcher itself writes.

Without it a restart would open every drift a second time and never close those that were corrected meanwhile.
"""

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


async def open_drifts(bootstrap: str, cluster: str, count: int, log: Log) -> dict[ObjectKey, DriftDetected]:
    """Read the cluster's partition of `setpoint-drift` from its beginning to its end as of now.

    `count` is the partition count of the topics that are keyed by cluster.
    """
    found: dict[ObjectKey, DriftDetected] = {}
    consumer = make_consumer(bootstrap, client_id="setpoint-watcher-restore", fetch_max_wait_ms=100)
    async with started(consumer):
        partition = TopicPartition(TopicName.DRIFT, cluster_partition(cluster, count))
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    _replay(found, record.value, cluster, log)
    return found


def _replay(found: dict[ObjectKey, DriftDetected], value: bytes | None, cluster: str, log: Log) -> None:
    try:
        event: Event[DriftDetected | DriftCleared] | None = parse_event(value or b"")
    except ValueError:
        log.warning("a drift record cannot be read and is left to the dead letters of who consumes it")
        return
    if event is None or event.data.target.cluster != cluster:
        return
    key = key_of_target(event.data)
    if isinstance(event.data, DriftDetected):
        found[key] = event.data
    elif key in found and found[key].drift_id == event.data.drift_id:
        del found[key]
