"""Free loopback ports for child processes, which can only be told a number.

Taken below the range from which the system gives out source ports: a client that keeps dialling a stopped part's port
could otherwise be given that very port as its own source (and talk to itself), and the part could never come back.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LOWEST = 15000
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 200


@contextmanager
def reserved(count: int, chance: random.Random | None = None) -> Iterator[tuple[int, ...]]:
    """`count` distinct free ports of 127.0.0.1, held until the block ends: leave it right before the part starts."""
    with ExitStack() as held:
        yield tuple(_hold_one(held, chance or random.SystemRandom()) for _ in range(count))


def free(count: int) -> tuple[int, ...]:
    """`count` distinct ports that were free a moment ago; the part that binds them must cope with a lost race."""
    with reserved(count) as ports:
        return ports


def _hold_one(held: ExitStack, chance: random.Random) -> int:
    highest = _first_source_port()
    for _ in range(TRIES if highest > LOWEST else 0):
        bound = _bind(chance.randrange(LOWEST, highest))
        if bound:
            return _port_of(held.enter_context(bound))
    fallback = socket.socket()
    fallback.bind(("127.0.0.1", 0))
    return _port_of(held.enter_context(fallback))


def _bind(port: int) -> socket.socket | None:
    candidate = socket.socket()
    try:
        candidate.bind(("127.0.0.1", port))
    except OSError:
        candidate.close()
        return None
    return candidate


def _port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def _first_source_port() -> int:
    try:
        return int(RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768
