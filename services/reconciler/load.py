"""Read a partition's memory: the ledger, and the controls, from their beginning to their end at this moment.

Called right after the journal was opened, when nobody else can write the ledger any more.
"""

from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from schemas.ledger import TargetState
from schemas.topics import TopicName
from services.reconciler.controls import Controls
from services.reconciler.records import DeadLetter, Reader, Record, control_of
from services.runtime.kafka import make_consumer, started

FETCH_MS = 200


@dataclass
class Memory:
    """What was read. `pending` are controls that no committed batch has seen; they go first into the next one."""

    rows: dict[str, TargetState] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)
    pending: list["Record[bytes, bytes]"] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    control_end: int = 0


async def load(bootstrap: str, cluster: str, partition: int, control_committed: int) -> Memory:
    """Read both topics, of one cluster. Controls from the group's offset `control_committed` on are inputs, not memory.

    Raises KafkaError or Temporary where the broker is away, Permanent where too much cannot be read.
    """
    ledger, control = TopicPartition(TopicName.LEDGER, partition), TopicPartition(TopicName.CONTROL, partition)
    memory, reader = Memory(), Reader(cluster)
    async with started(
        make_consumer(bootstrap, client_id=f"setpoint-reconciler-load-{partition}", fetch_max_wait_ms=FETCH_MS)
    ) as consumer:
        consumer.assign([ledger, control])
        ends = await consumer.end_offsets([ledger, control])
        await consumer.seek_to_beginning(ledger, control)
        while not await _at_end(consumer, ends):
            for place, records in (await consumer.getmany(timeout_ms=FETCH_MS)).items():
                for record in records:
                    if place == ledger:
                        _row(memory, reader, record)
                    elif record.offset < control_committed:
                        _control(memory, reader, record)
                    elif record.offset < ends[control]:
                        memory.pending.append(record)
    memory.control_end = max(ends[control], control_committed)
    return memory


async def _at_end(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return False
    return True


def _row(memory: Memory, reader: Reader, record: "Record[bytes, bytes]") -> None:
    subject = (record.key or b"").decode(errors="replace")
    if record.value is None:
        memory.rows.pop(subject, None)
        return
    row = reader.row(record)
    if isinstance(row, DeadLetter):
        memory.dead.append(row)
    elif row is not None:
        memory.rows[subject] = row


def _control(memory: Memory, reader: Reader, record: "Record[bytes, bytes]") -> None:
    event = reader.event(record)
    if not isinstance(event, DeadLetter):  # it was buried when it was first read
        memory.controls.put(record.key or b"", control_of(event))
