"""From the bytes of a remote-write request to blocks for the broker. Blocks threads for milliseconds: call it in one.

One odd series costs that series; what is no message at all costs the request. Nothing unpacks to more than its limit
here, whatever a length or a count says.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from cramjam import DecompressionError, snappy
from google.protobuf.message import DecodeError

from services.gateway.remote_write_histograms import histogram_of
from services.gateway.remote_write_messages import classes
from services.gateway.remote_write_series import MOST_LABELS, Known, Memo, Rejected, series_of
from services.gateway.source import Unreadable
from services.runtime.sampleblocks import NEWEST, OLDEST, Block, Family, pack

MOST_UNPACKED = 16 * 1024 * 1024
MOST_SERIES = MOST_SAMPLES = 50_000
MOST_SYMBOLS = 500_000
LONGEST_SERIES = 1024 * 1024
"""Bytes of one series with its samples."""
BLOCK_BYTES, SLICE = 512 * 1024, 8192
"""A block is closed beyond so many bytes, and takes so many samples of one series at once: packed, however badly, it
stays below the 1 MiB that brokers take by default."""
SMALLER = "send less at a time (max_samples_per_send)"
TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
SUFFIXES = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
}  # of a family's series. Source: OpenMetrics
MOST_TOLD, LONGEST_HELP = 100_000, 4096


class Form(StrEnum):
    """The two messages, by the names that `Content-Type` has for them."""

    ONE = "prometheus.WriteRequest"
    TWO = "io.prometheus.write.v2.Request"


@dataclass
class Written:
    """What a request comes to. `rejected` counts samples and histograms that are not kept, by the reason."""

    blocks: list[bytes] = field(default_factory=list)
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


class Reader:
    """Reads requests, one at a time; it remembers series, and what metric families said of themselves."""

    def __init__(self) -> None:
        self.memo = Memo()
        self.told: dict[object, tuple[int, str, str]] = {}
        self.classes = classes()

    def forget(self) -> None:
        """What families said may not have arrived: pass it on again."""
        self.told.clear()

    def read(self, form: Form, body: bytes, sender: str, now: datetime) -> Written:
        """Raises Unreadable for a body that is not the message in Snappy's block format, or is beyond the limits."""
        draft, raw = Draft(sender, now), unpacked(body)
        try:
            request = self.classes["Request1" if form is Form.ONE else "Request2"].FromString(raw)
            beside = request.metadata if form is Form.ONE else request.symbols
            if raw and not request.timeseries and not beside:  # the other message has none of this one's fields
                raise Unreadable(f"not the message {form}")
            (self._one if form is Form.ONE else self._two)(request, sender, draft)
        except DecodeError:
            raise Unreadable(f"not the message {form}") from None
        draft.close()
        return draft.written

    def _one(self, request: Any, sender: str, draft: "Draft") -> None:
        if max(len(request.timeseries), len(request.metadata)) > MOST_SERIES:
            raise Unreadable(f"more than {MOST_SERIES} series: {SMALLER}")
        read = self.classes["Series1"].FromString
        for data in request.timeseries:
            series = read(_bounded(data))
            draft.exemplars(len(series.exemplars))
            self._series(draft, series, (sender, *series.labels), self._labels)
        for data in request.metadata:
            told = self.classes["Metadata1"].FromString(data)
            name, said = told.metric_family_name, (told.type, told.help, told.unit)
            if self._news((sender, name), said):
                draft.family(name, *said)

    def _two(self, request: Any, sender: str, draft: "Draft") -> None:
        if len(request.symbols) > MOST_SYMBOLS or len(request.timeseries) > MOST_SERIES:
            raise Unreadable(f"more than {MOST_SYMBOLS} symbols or {MOST_SERIES} series: {SMALLER}")
        symbols, read = list(request.symbols), self.classes["Series2"].FromString
        for data in request.timeseries:
            series = read(_bounded(data))
            draft.exemplars(len(series.exemplars))
            refs = series.labels_refs
            if len(refs) % 2 or len(refs) > 2 * MOST_LABELS or max(refs, default=0) >= len(symbols):
                draft.reject("odd-label-references", series)
                continue
            known = self._series(draft, series, (sender, *[symbols[ref] for ref in refs]), _pairs)
            if known and series.HasField("metadata"):
                self._metadata(draft, family_of(known.name, series.metadata.type), sender, series.metadata, symbols)

    def _series(
        self, draft: "Draft", series: Any, key: tuple[Any, ...], pairs_of: Callable[[tuple[Any, ...]], Any]
    ) -> Known | None:
        known = self.memo.get(key)
        try:
            if known is None:
                known = series_of(key[0], pairs_of(key[1:]))
                self.memo.put(key, known)
        except Rejected as error:
            draft.reject(str(error), series)
            return None
        draft.add(known, series.samples)
        for data in series.histograms:
            draft.histogram(known, self.classes["Histogram"].FromString(data))
        return known

    def _labels(self, raw: tuple[bytes, ...]) -> list[tuple[str, str]]:
        if len(raw) > MOST_LABELS:
            raise Rejected("too-many-labels")
        read = self.classes["Label"].FromString
        return [(label.name, label.value) for label in map(read, raw)]

    def _metadata(self, draft: "Draft", family: str, sender: str, told: Any, symbols: list[str]) -> None:
        if max(told.help_ref, told.unit_ref) < len(symbols):
            said = (told.type, symbols[told.help_ref], symbols[told.unit_ref])
            if self._news((sender, family), said):
                draft.family(family, *said)

    def _news(self, about: object, said: tuple[int, str, str]) -> bool:
        """Families are described in every request (2.0) or every minute (1.0), and passed on when that is new."""
        if self.told.get(about) == said:
            return False
        if len(self.told) >= MOST_TOLD:
            self.told.clear()
        self.told[about] = said
        return True


class Draft:
    """The blocks of a request while they grow."""

    def __init__(self, sender: str, now: datetime) -> None:
        self.written = Written()
        self.block, self.size, self.taken = Block(sender), 0, 0
        self.oldest = int((now - OLDEST).timestamp() * 1000)
        self.newest = int((now + NEWEST).timestamp() * 1000)

    def add(self, series: Known, samples: Any) -> None:
        """Put samples into the block. Raises Unreadable beyond the request's limit."""
        count = len(samples)
        self._room(count)
        if count == 1:  # the usual request, and the fast way
            sample = samples[0]
            if self.oldest <= sample.timestamp <= self.newest:
                self._open(series, 1)
                self.block.times.append(sample.timestamp)
                self.block.values.append(sample.value)
            else:
                self.written.rejected["time-out-of-bounds"] += 1
            return
        for first in range(0, count, SLICE):
            kept = list(self._kept(samples[first : first + SLICE]))
            if not kept:
                continue
            self._open(series, len(kept))
            self.block.times.extend([time for time, _ in kept])
            self.block.values.extend([value for _, value in kept])

    def histogram(self, series: Known, told: Any) -> None:
        """One native histogram."""
        self._room(1)
        try:
            if not self.oldest <= told.timestamp <= self.newest:
                raise Rejected("time-out-of-bounds")
            made = histogram_of(series, told)
        except Rejected as error:
            self.written.rejected[str(error)] += 1
            return
        self._open(series, 0)
        self.block.histograms.append(made)
        self.size += 16 * (8 + len(made.positive) + len(made.negative) + len(made.bounds))
        self.written.histograms += 1

    def family(self, name: str, type: int, help: str, unit: str) -> None:
        """What a family says of itself."""
        if not name:
            return
        self._cut()
        family = Family(name[:LONGEST_HELP], _word(type), help[:LONGEST_HELP], unit[:LONGEST_HELP])
        self.block.families.append(family)
        self.size += sum(map(len, family)) + 16

    def exemplars(self, count: int) -> None:
        """They point into traces, which are kept elsewhere and for less long; they are counted."""
        self.written.exemplars += count

    def reject(self, why: str, series: Any) -> None:
        """All that a series brought."""
        self.written.rejected[why] += max(1, len(series.samples) + len(series.histograms))

    def close(self) -> None:
        """Pack what there is."""
        if self.size:
            self.written.blocks.append(pack(self.block))
            self.block, self.size = Block(self.block.sender), 0

    def _kept(self, samples: Any) -> Iterator[tuple[int, float]]:
        for sample in samples:
            if self.oldest <= sample.timestamp <= self.newest:
                yield sample.timestamp, sample.value
            else:
                self.written.rejected["time-out-of-bounds"] += 1

    def _open(self, series: Known, count: int) -> None:
        self._cut()
        block = self.block
        block.ids.append(series.id)
        block.counts.append(count)
        block.labels.append(series.labels)
        self.size += len(series.labels) + 16 + 16 * count
        self.written.samples += count

    def _cut(self) -> None:
        if self.size >= BLOCK_BYTES:
            self.close()

    def _room(self, count: int) -> None:
        self.taken += count
        if self.taken > MOST_SAMPLES:
            raise Unreadable(f"more than {MOST_SAMPLES} samples: {SMALLER}")


def family_of(series: str, type: int) -> str:
    """The family that a series belongs to: `x` for `x_bucket` of a histogram. 2.0 tells it by its series alone."""
    for suffix in SUFFIXES.get(_word(type), ()):
        if series.endswith(suffix):
            return series.removesuffix(suffix)
    return series


def _word(type: int) -> str:
    return TYPES[type] if 0 <= type < len(TYPES) else TYPES[0]


def unpacked(body: bytes) -> bytes:
    """What is in Snappy's block format, whose first number says how long it becomes. Raises Unreadable."""
    try:
        size = snappy.decompress_raw_len(body)
        if size > MOST_UNPACKED:
            raise Unreadable(f"unpacks to more than {MOST_UNPACKED} bytes: {SMALLER}")
        return bytes(snappy.decompress_raw(body))
    except (DecompressionError, OverflowError):
        raise Unreadable("not in Snappy's block format") from None


def _bounded(data: bytes) -> bytes:
    if len(data) > LONGEST_SERIES:
        raise Unreadable(f"a series of more than {LONGEST_SERIES} bytes")
    return data


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(zip(texts[::2], texts[1::2], strict=True))
