"""Records that cannot be read, on their way to the dead letters: as they were, with where they stood and why.

What is too large for that topic, or would be with the headers that are added here, is cut, and says how long it was: a
record that nobody can read must not stop the ones behind it.
"""

from dataclasses import dataclass
from typing import Any

from aiokafka.structs import ConsumerRecord

MOST_VALUE, MOST_AROUND = 1_000_000, 16_000
"""Bytes of a value, and of key and headers together; a topic takes about 1 MiB a record unless it is told otherwise."""
SIZE = "original-size"


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be read, as it was, with headers that say where it stood and what is wrong with it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def dead_letter(record: "ConsumerRecord[Any, Any]", error: str) -> DeadLetter:
    """A record for the dead letters, with its original bytes and headers. `error` does not quote it."""
    value: bytes = record.value or b""
    around = len(record.key or b"") + sum(len(name) + len(text or b"") for name, text in record.headers)
    fits = len(value) <= MOST_VALUE and around <= MOST_AROUND
    kept = [pair for pair in record.headers if not pair[0].startswith("original-") and pair[0] != "error"]
    headers = (
        *(kept if around <= MOST_AROUND else ()),
        ("original-topic", record.topic.encode()),
        ("original-partition", str(record.partition).encode()),
        ("original-offset", str(record.offset).encode()),
        *([] if fits else [(SIZE, str(len(value) + around).encode())]),
        ("error", error.encode()),
    )
    if fits:
        return DeadLetter(record.key, record.value, headers)
    return DeadLetter(record.key and record.key[:MOST_AROUND], record.value and value[:MOST_VALUE], headers)
