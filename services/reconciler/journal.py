"""The reconciler's transactions: which topics a partition's journal writes."""

from schemas.topics import TopicName
from services.runtime import journal
from services.runtime.journal import Journal, Offsets, ProducerFenced, fenced

OUTPUTS = (
    TopicName.DECISIONS, TopicName.ACTIONS, TopicName.APPROVALS, TopicName.LEDGER, TopicName.DEAD_LETTER,
)  # fmt: skip


async def open_journal(bootstrap: str, transactional_id: str, group: str) -> Journal:
    """Fence the one before, and be the only writer. Raises KafkaError or OSError where the broker is away."""
    return await journal.open_journal(bootstrap, transactional_id, group, OUTPUTS)


__all__ = ["Journal", "Offsets", "ProducerFenced", "fenced", "open_journal"]
