"""Remote-write requests written byte by byte from the specifications' field numbers, so that the gateway is not tested
with its own idea of the messages."""

import struct
from collections.abc import Iterable, Mapping, Sequence

from cramjam import snappy

STALE = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
V1 = "application/x-protobuf"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
HEADERS = {"content-encoding": "snappy", "content-type": V1, "x-prometheus-remote-write-version": "0.1.0"}

Labels = Mapping[str, str]
Samples = Iterable[tuple[int, float]]
"""Milliseconds and values."""


def varint(number: int) -> bytes:
    """Base 128, negative numbers as 64 bits."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def zigzag(number: int) -> bytes:
    """`sint32` and `sint64`."""
    return varint(number << 1 ^ number >> 63)


def text(field: int, value: str | bytes) -> bytes:
    """A string, a message or packed numbers."""
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def integer(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def sample(time: int, value: float) -> bytes:
    """Both versions have the same."""
    return double(1, value) + integer(2, time)


def series1(labels: Labels | Sequence[tuple[str, str]], samples: Samples = (), more: bytes = b"") -> bytes:
    """A `TimeSeries` of 1.0; `more` are fields of its own."""
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    names = b"".join(text(1, text(1, name) + text(2, value)) for name, value in pairs)
    return names + b"".join(text(2, sample(*one)) for one in samples) + more


def request1(*series: bytes, metadata: Iterable[bytes] = ()) -> bytes:
    """A `WriteRequest`, compressed."""
    return packed(b"".join(text(1, one) for one in series) + b"".join(text(3, one) for one in metadata))


def metadata1(type: int, family: str, help: str) -> bytes:
    return integer(1, type) + text(2, family) + text(4, help)


class Symbols:
    """A request of 2.0 while it is made."""

    def __init__(self) -> None:
        self.symbols = [""]
        self.series = b""

    def ref(self, symbol: str) -> int:
        if symbol not in self.symbols:
            self.symbols.append(symbol)
        return self.symbols.index(symbol)

    def add(self, labels: Labels, samples: Samples = (), more: bytes = b"", type: int = 0, help: str = "") -> None:
        refs = b"".join(varint(self.ref(one)) for pair in labels.items() for one in pair)
        said = text(5, integer(1, type) + integer(3, self.ref(help))) if type else b""
        self.raw(text(1, refs) + b"".join(text(2, sample(*one)) for one in samples) + more + said)

    def raw(self, series: bytes) -> None:
        self.series += text(5, series)

    def request(self) -> bytes:
        """The `Request`, compressed."""
        return packed(b"".join(text(4, symbol) for symbol in self.symbols) + self.series)


def histogram(time: int, total: float, spans: Sequence[tuple[int, int]], deltas: Sequence[int]) -> bytes:
    """A native one of integers, schema 3, with positive buckets only; the count is what the buckets have."""
    at = count = 0
    for delta in deltas:
        at += delta
        count += at
    shown = b"".join(text(11, integer_sint(1, offset) + integer(2, length)) for offset, length in spans)
    packed_deltas = text(12, b"".join(map(zigzag, deltas)))
    return (
        integer(1, count) + double(3, total) + integer_sint(4, 3) + double(5, 1e-128) + shown + packed_deltas
        + integer(15, time)
    )  # fmt: skip


def integer_sint(field: int, number: int) -> bytes:
    return varint(field << 3) + zigzag(number)


def packed(message: bytes) -> bytes:
    """In Snappy's block format."""
    return bytes(snappy.compress_raw(message))


def bomb(size: int) -> bytes:
    """Zeros, which Snappy packs to a twentieth."""
    return packed(bytes(size))
