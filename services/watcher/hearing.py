"""Read the cluster's partition of `setpoint-audit`, where a gateway writes one; without one this does next to nothing.

Audit is a help and no duty: whatever fails here is tried again, and the watcher works on without users' names.
"""

from collections.abc import Callable
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.events import AuditObserved, parse_event
from schemas.topics import TopicName
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, cluster_partition, make_consumer, started
from services.runtime.logging import Log
from services.watcher.audit import KEPT_S

LOOK_S = 10.0  # between two looks whether anybody sends audit at all
BATCH = 500


async def hear_audit(
    bootstrap: str, cluster: str, count: int, hear: Callable[[AuditObserved], None], clock: Clock, log: Log
) -> None:
    """Call `hear` with each write to `cluster`, from the last minutes on, until cancelled.

    `count` is the partition count of the topics that are keyed by cluster.
    """
    place = TopicPartition(TopicName.AUDIT, cluster_partition(cluster, count))
    backoff = Backoff(first=1.0, most=60.0)
    while True:
        try:
            consumer = make_consumer(bootstrap, client_id="setpoint-watcher-audit", fetch_max_wait_ms=1000)
            async with started(consumer):
                await _until_there_are_some(consumer, place, clock)
                await _from_recent(consumer, place, clock)
                log.info("audit is heard", cluster=cluster)
                while True:
                    for records in (await consumer.getmany(timeout_ms=5000, max_records=BATCH)).values():
                        for record in records:
                            _tell(record.value, cluster, hear, log)
                    backoff.reset()
        except (Temporary, KafkaError, OSError) as error:
            log.info("audit cannot be read and is tried again", error=str(error))
            await clock.sleep(backoff.next())


async def _until_there_are_some(consumer: AIOKafkaConsumer, place: TopicPartition, clock: Clock) -> None:
    while not (await consumer.end_offsets([place]))[place]:
        await clock.sleep(LOOK_S)


async def _from_recent(consumer: AIOKafkaConsumer, place: TopicPartition, clock: Clock) -> None:
    """What is older than the join remembers is not read."""
    consumer.assign([place])
    since = int((clock.now() - timedelta(seconds=KEPT_S)).timestamp() * 1000)
    end = (await consumer.end_offsets([place]))[place]  # asked first: what comes in meanwhile is read
    found = (await consumer.offsets_for_times({place: since}))[place]
    consumer.seek(place, end if found is None else found.offset)


def _tell(value: bytes | None, cluster: str, hear: Callable[[AuditObserved], None], log: Log) -> None:
    try:
        event = parse_event(value or b"")
    except ValueError:
        log.warning("an audit record cannot be read and is passed over")
        return
    if event and isinstance(event.data, AuditObserved) and event.data.cluster == cluster:
        hear(event.data)
