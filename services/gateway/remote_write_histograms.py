"""A native histogram as remote write has it (sparse spans and deltas) to one with absolute counts by bucket index.

https://prometheus.io/docs/specs/native_histograms/: an integer one holds deltas between neighbours, a float one counts.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from services.gateway.remote_write_series import Known, Rejected
from services.runtime.sampleblocks import Histogram

MOST_BUCKETS = 1000
STALE = 0x7FF0000000000002
"""The bits of the NaN that says that a series has ended."""
CUSTOM_BOUNDS = -53
"""The schema whose buckets have the bounds that it names itself; others grow by a factor."""


def is_stale(value: float) -> bool:
    """Whether it is the marker, and not just any NaN."""
    return struct.pack("<d", value) == STALE.to_bytes(8, "little")


def histogram_of(series: Known, told: Any) -> Histogram:
    """`told` is a decoded `Histogram`. Raises Rejected for buckets that do not fit their spans."""
    stale = is_stale(told.sum)
    floats = bool(told.count_float or told.positive_counts or told.negative_counts)
    counts = (told.count_float, told.zero_count_float) if floats else (told.count_int, told.zero_count_int)
    positive = {} if stale else _buckets(told.positive_spans, told.positive_deltas, told.positive_counts)
    negative = {} if stale else _buckets(told.negative_spans, told.negative_deltas, told.negative_counts)
    bounds = list(told.custom_values)
    numbers = [*counts, told.zero_threshold, *positive.values(), *negative.values(), *bounds]
    if not all(map(math.isfinite, numbers)) or len(bounds) > MOST_BUCKETS or not -128 <= told.schema < 128:
        raise Rejected("odd-histogram")
    return Histogram(
        series.id, series.name, told.timestamp, float(counts[0]), told.sum, told.schema, told.zero_threshold,
        float(counts[1]), positive, negative, bounds, stale,
    )  # fmt: skip


def _buckets(spans: Sequence[Any], deltas: Sequence[int], counts: Sequence[float]) -> dict[int, float]:
    values = list(counts) if counts else list(_summed(deltas))
    if len(values) > MOST_BUCKETS or sum(span.length for span in spans) != len(values):
        raise Rejected("odd-histogram")
    return dict(zip(_indexes(spans), values, strict=True))


def _summed(deltas: Iterable[int]) -> Iterable[float]:
    total = 0
    for delta in deltas:
        total += delta
        yield float(total)


def _indexes(spans: Sequence[Any]) -> Iterable[int]:
    """A span's offset counts from the end of the one before."""
    at = 0
    for span in spans:
        at += span.offset
        yield from range(at, at + span.length)
        at += span.length
