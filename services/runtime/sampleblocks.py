"""Samples on their way from the gateway to the recorder: one record of `setpoint-samples` is a block of columns.

The gateway packs what a sender wrote, the recorder inserts the columns as they are: nothing is made of a single sample
in between but its place in three arrays. A block stands for itself, with the labels of all its series, so that any
recorder can take up any record.

On the broker: `MAGIC`, the unpacked length (u32), then Zstandard of: the header's length (u32), the header as JSON and
the columns, little endian: ids (u64 a series), counts (u32), labels' lengths (u32), labels, times (i64), values (f64).
A value is its eight bytes: Prometheus' stale marker is one of many NaNs, told apart by its bits alone.
"""

import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from cramjam import DecompressionError, zstd

MAGIC = b"SPS1"
SEPARATOR = b"\xff"
"""Between the parts of a series' labels; no byte of UTF-8."""
CONTENT_TYPE = b"application/vnd.setpoint.samples"
MOST_UNPACKED = 64 * 1024 * 1024
OLDEST, NEWEST = timedelta(days=400), timedelta(hours=1)
"""How far a sample's time may be from now. What is older than the record keeps would open a partition to be dropped."""
LEVEL = 1


class Malformed(ValueError):
    """Bytes that are no block."""


class Family(NamedTuple):
    """What a metric family says of itself."""

    name: str
    type: str
    help: str
    unit: str


class Histogram(NamedTuple):
    """One native histogram of the series with this id. Buckets by index, as absolute counts; `stale` has no values."""

    series_id: int
    name: str
    time: int
    observations: float
    sum: float
    schema: int
    zero_threshold: float
    zero_count: float
    positive: dict[int, float]
    negative: dict[int, float]
    bounds: list[float]
    stale: bool


@dataclass
class Block:
    """`counts[i]` samples in a row belong to the series `ids[i]` with `labels[i]`; times are ms since 1970."""

    sender: str
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    counts: "array[int]" = field(default_factory=lambda: array("I"))
    labels: list[bytes] = field(default_factory=list)
    times: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    families: list[Family] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)


def canonical(name: str, labels: Mapping[str, str]) -> bytes:
    """A series' labels as one text: its name, then names and values of the others in order."""
    parts = [name]
    for label in sorted(labels):
        parts += (label, labels[label])
    return SEPARATOR.join(part.encode() for part in parts)


def name_of(labels: bytes) -> str:
    """The metric's name in a canonical text."""
    return labels.partition(SEPARATOR)[0].decode()


def labels_of(labels: bytes) -> dict[str, str]:
    """All labels but the name, of a canonical text."""
    parts = [part.decode() for part in labels.split(SEPARATOR)]
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def series_id(sender: str, labels: bytes) -> int:
    """One number for a series of a sender: two senders never write each other's series."""
    text = sender.encode() + SEPARATOR + SEPARATOR + labels
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def pack(block: Block) -> bytes:
    """A record's value."""
    lengths = array("I", map(len, block.labels))
    header = orjson.dumps(
        {
            "sender": block.sender,
            "series": len(block.ids),
            "samples": len(block.times),
            "families": [*map(tuple, block.families)],
            "histograms": [*map(_fields, block.histograms)],
        },
        option=orjson.OPT_NON_STR_KEYS,
    )
    raw = b"".join((
        len(header).to_bytes(4, "little"), header, _bytes(block.ids), _bytes(block.counts), _bytes(lengths),
        *block.labels, _bytes(block.times), _bytes(block.values),
    ))  # fmt: skip
    return MAGIC + len(raw).to_bytes(4, "little") + bytes(zstd.compress(raw, level=LEVEL))


def unpack(value: bytes) -> Block:
    """The block of a record's value. Raises Malformed."""
    try:
        return _unpack(_raw(value))
    except Malformed:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
        raise Malformed("the columns do not fit together") from None


def _raw(value: bytes) -> bytes:
    size = int.from_bytes(value[4:8], "little")
    if value[:4] != MAGIC or not 4 <= size <= MOST_UNPACKED:
        raise Malformed("not a block of samples")
    raw = bytearray(size)
    try:
        written = zstd.decompress_into(value[8:], raw)
    except DecompressionError:
        raise Malformed(f"not Zstandard of {size} bytes") from None
    if written != size:
        raise Malformed(f"unpacks to {written} bytes and not to {size}")
    return bytes(raw)


def _unpack(raw: bytes) -> Block:
    at = 4 + int.from_bytes(raw[:4], "little")
    header = orjson.loads(raw[4:at])
    series, samples = int(header["series"]), int(header["samples"])
    ids, at = _column("Q", raw, at, series)
    counts, at = _column("I", raw, at, series)
    lengths, at = _column("I", raw, at, series)
    labels = []
    for length in lengths:
        labels.append(raw[at : at + length])
        at += length
    times, at = _column("q", raw, at, samples)
    values, at = _column("d", raw, at, samples)
    if at != len(raw) or sum(counts) != samples:
        raise Malformed("the columns do not fit together")
    families = [Family(*map(str, family)) for family in header["families"]]
    histograms = [_histogram(fields) for fields in header["histograms"]]
    return Block(str(header["sender"]), ids, counts, labels, times, values, families, histograms)


def _fields(histogram: Histogram) -> list[Any]:
    """For JSON, which has no infinite sum and none that is not a number."""
    return [histogram.sum.hex() if name == "sum" else value for name, value in histogram._asdict().items()]


def _histogram(fields: Sequence[Any]) -> Histogram:
    told = Histogram(*fields)
    return Histogram(
        int(told.series_id), str(told.name), int(told.time), float(told.observations), float.fromhex(str(told.sum)),
        int(told.schema), float(told.zero_threshold), float(told.zero_count), _buckets(told.positive),
        _buckets(told.negative), [*map(float, told.bounds)], bool(told.stale),
    )  # fmt: skip


def _buckets(told: Mapping[Any, Any]) -> dict[int, float]:
    return {int(index): float(count) for index, count in told.items()}


def _column(code: str, raw: bytes, at: int, count: int) -> "tuple[array[Any], int]":
    column = array(code)
    end = at + count * column.itemsize
    if end > len(raw):
        raise Malformed("the columns do not fit together")
    column.frombytes(raw[at:end])
    if sys.byteorder == "big":
        column.byteswap()
    return column, end


def _bytes(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()
