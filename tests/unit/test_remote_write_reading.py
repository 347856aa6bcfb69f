"""What the gateway makes of remote-write requests: every sample as it was sent, and nothing of what cannot be kept."""

import struct
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.gateway import remote_write_reading as reading
from services.gateway.remote_write_histograms import is_stale
from services.gateway.remote_write_reading import Form, Reader, Written
from services.gateway.remote_write_series import Memo, Rejected, series_of
from services.gateway.source import Unreadable
from services.runtime.sampleblocks import Block, labels_of, name_of, unpack
from tests.fakes import NOON
from tests.remote_write import (
    STALE,
    Symbols,
    bomb,
    double,
    histogram,
    integer,
    integer_sint,
    metadata1,
    packed,
    request1,
    sample,
    series1,
    text,
)

NOW = int(NOON.timestamp() * 1000)
UP = {"__name__": "up", "instance": "a:9090", "job": "node"}


def read(body: bytes, form: Form = Form.ONE, reader: Reader | None = None) -> Written:
    return (reader or Reader()).read(form, body, "prod", NOON)


def blocks(written: Written) -> list[Block]:
    return [unpack(block) for block in written.blocks]


def samples_of(written: Written) -> list[tuple[str, dict[str, str], int, float]]:
    """Name, labels, time and value of each sample."""
    found = []
    for block in blocks(written):
        at = 0
        for labels, count in zip(block.labels, block.counts, strict=True):
            for time, value in zip(block.times[at : at + count], block.values[at : at + count], strict=True):
                found.append((name_of(labels), labels_of(labels), time, value))
            at += count
    return found


def test_the_first_version_is_read() -> None:
    """Labels, times and values as they were sent; the name is no label."""
    written = read(request1(series1(UP, [(NOW, 1.0), (NOW + 1, 0.5)]), series1({"__name__": "x"}, [(NOW, -2.0)])))
    assert samples_of(written) == [
        ("up", {"instance": "a:9090", "job": "node"}, NOW, 1.0),
        ("up", {"instance": "a:9090", "job": "node"}, NOW + 1, 0.5),
        ("x", {}, NOW, -2.0),
    ]
    assert (written.samples, dict(written.rejected)) == (3, {})


def test_the_second_version_is_the_same_series() -> None:
    """A sender that changes over goes on with the series that it had."""
    request = Symbols()
    request.add(UP, [(NOW, 1.0)])
    one, two = read(request1(series1(UP, [(NOW, 1.0)]))), read(request.request(), Form.TWO)
    assert samples_of(one) == samples_of(two)
    assert blocks(one)[0].ids == blocks(two)[0].ids


def test_another_senders_series_is_another() -> None:
    """No sender writes into what somebody else sent."""
    body = request1(series1(UP, [(NOW, 1.0)]))
    ids = {unpack(Reader().read(Form.ONE, body, sender, NOON).blocks[0]).ids[0] for sender in ("a", "b")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([("job", "node"), ("instance", "a:9090"), ("__name__", "up")], id="unsorted"),
        pytest.param([*UP.items(), ("empty", "")], id="an-empty-label-is-none"),
    ],
)
def test_one_series_has_one_number(pairs: Sequence[tuple[str, str]]) -> None:
    """However its labels are written."""
    assert series_of("prod", pairs) == series_of("prod", list(UP.items()))


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        pytest.param([("job", "x")], "no-metric-name", id="no-name"),
        pytest.param([("__name__", "")], "no-metric-name", id="empty-name"),
        pytest.param([("__name__", "x"), ("a", "1"), ("a", "2")], "repeated-label", id="twice"),
        pytest.param([("__name__", "x"), ("", "1")], "label-without-name", id="no-label-name"),
        pytest.param([("__name__", "x"), ("a" * 1025, "1")], "label-too-long", id="long-name"),
        pytest.param([("__name__", "x"), ("a", "é" * 4097)], "label-too-long", id="long-value-in-bytes"),
        pytest.param([("__name__", "x"), *((f"l{n}", "1") for n in range(64))], "too-many-labels", id="many"),
        pytest.param(
            [("__name__", "x"), *((f"l{n}", "v" * 8000) for n in range(10))], "labels-too-long", id="long-together"
        ),
    ],
)
def test_an_odd_series_costs_itself_alone(pairs: Sequence[tuple[str, str]], why: str) -> None:
    """The others of its request are kept, in both versions, and the sender hears why."""
    good = series1(UP, [(NOW, 1.0)])
    written = read(request1(good, series1(pairs, [(NOW, 1.0), (NOW + 1, 1.0)]), good))
    assert (written.samples, dict(written.rejected)) == (2, {why: 2})
    with pytest.raises(Rejected, match=why):
        series_of("prod", pairs)


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(text(1, b"\x01\x02\x03") + text(2, sample(NOW, 1.0)), id="odd-number"),
        pytest.param(text(1, b"\x01\x7f") + text(2, sample(NOW, 1.0)), id="no-such-symbol"),
        pytest.param(text(1, b"\x00" * 200) + text(2, sample(NOW, 1.0)), id="too-many"),
    ],
)
def test_odd_references_cost_their_series(series: bytes) -> None:
    """2.0's labels are numbers of symbols, which a sender may get wrong."""
    request = Symbols()
    request.add(UP, [(NOW, 1.0)])
    request.raw(series)
    written = read(request.request(), Form.TWO)
    assert (written.samples, dict(written.rejected)) == (1, {"odd-label-references": 1})


@pytest.mark.parametrize(
    "value", [STALE, float("inf"), -0.0, 5e-324, struct.unpack("<d", b"\x01" + bytes(5) + b"\xf8\x7f")[0]]
)
def test_a_value_keeps_its_bits(value: float) -> None:
    """The stale marker is one NaN of many, and only its bits tell."""
    body = request1(series1(UP, [(NOW, value)]), series1(UP, [(NOW, value), (NOW, value)]))
    found = b"".join(struct.pack("<d", one) for *_, one in samples_of(read(body)))
    assert found == 3 * struct.pack("<d", value)


def test_only_the_marker_is_stale() -> None:
    """A NaN that was measured is a value."""
    assert (is_stale(STALE), is_stale(float("nan"))) == (True, False)


@pytest.mark.parametrize("off", [timedelta(days=-401), timedelta(hours=2)], ids=["past", "future"])
def test_a_time_out_of_bounds_costs_its_sample(off: timedelta) -> None:
    """Alone, and among others; what is late or out of order within the bounds is taken."""
    bad = NOW + int(off.total_seconds() * 1000)
    body = request1(series1(UP, [(bad, 1.0)]), series1(UP, [(NOW, 1.0), (bad, 2.0), (NOW - 9000, 3.0), (NOW, 1.0)]))
    written = read(body)
    assert [time for *_, time, _ in samples_of(written)] == [NOW, NOW - 9000, NOW]
    assert dict(written.rejected) == {"time-out-of-bounds": 2}


def test_a_native_histogram_has_absolute_counts() -> None:
    """Spans and deltas of the wire become buckets by index."""
    body = request1(series1(UP, more=text(4, histogram(NOW, 7.5, [(-1, 2), (3, 1)], [2, 1, -2]))))
    written = read(body)
    (made,) = blocks(written)[0].histograms
    assert (made.positive, made.observations, made.sum, made.schema) == ({-1: 2.0, 0: 3.0, 4: 1.0}, 6.0, 7.5, 3)
    assert (made.name, made.time, made.stale, written.histograms) == ("up", NOW, False, 1)
    assert list(blocks(written)[0].ids) == [made.series_id]


def test_a_float_histogram_has_its_counts() -> None:
    """No deltas there, and a sum that is not finite stays what it is."""
    spans = text(11, integer_sint(1, 5) + integer(2, 2))
    told = double(2, 2.5) + double(3, float("inf")) + spans + text(13, struct.pack("<2d", 1.0, 1.5)) + integer(15, NOW)
    (made,) = blocks(read(request1(series1(UP, more=text(4, told)))))[0].histograms
    assert (made.positive, made.observations, made.sum) == ({5: 1.0, 6: 1.5}, 2.5, float("inf"))


def test_a_series_of_histograms_ends_too() -> None:
    """The marker stands in the sum."""
    (made,) = blocks(read(request1(series1(UP, more=text(4, histogram(NOW, STALE, [], []))))))[0].histograms
    assert made.stale


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(histogram(NOW, 1.0, [(0, 3)], [1]), id="fewer-than-the-spans"),
        pytest.param(histogram(NOW, 1.0, [(0, 2**32 - 1)], [1]), id="a-span-of-everything"),
        pytest.param(histogram(NOW, 1.0, [(0, 2000)], [1] * 2000), id="too-many-buckets"),
        pytest.param(double(2, float("nan")) + integer(15, NOW), id="no-count"),
        pytest.param(integer_sint(4, 1000) + integer(15, NOW), id="no-such-schema"),
    ],
)
def test_an_odd_histogram_costs_itself_alone(told: bytes) -> None:
    """The samples beside it are kept."""
    written = read(request1(series1(UP, [(NOW, 1.0)], text(4, told))))
    assert (written.samples, written.histograms, dict(written.rejected)) == (1, 0, {"odd-histogram": 1})


def test_exemplars_are_counted() -> None:
    """They are not kept, and nobody is told that they were."""
    assert read(request1(series1(UP, [(NOW, 1.0)], text(3, b"") + text(3, b"")))).exemplars == 2


def test_a_family_is_passed_on_when_it_says_something_new() -> None:
    """Senders say it again in every request."""
    reader, request = Reader(), Symbols()
    request.add(UP, [(NOW, 1.0)], type=2, help="is it up")
    said = [blocks(read(request.request(), Form.TWO, reader))[0].families for _ in range(2)]
    assert said == [[("up", "gauge", "is it up", "")], []]
    only = read(request1(metadata=[metadata1(1, "x_total", "how many"), metadata1(99, "y", "")]), reader=reader)
    assert blocks(only)[0].families == [("x_total", "counter", "how many", ""), ("y", "unknown", "", "")]


def test_the_series_of_one_family_tell_it_once() -> None:
    """The second form describes each series, and all of a histogram say the same."""
    request = Symbols()
    for name, type in (("x_bucket", 3), ("x_count", 3), ("x_sum", 3), ("y_sum", 5), ("z_count", 1)):
        request.add({"__name__": name}, [(NOW, 1.0)], type=type, help="how long")
    [block] = blocks(read(request.request(), Form.TWO))
    assert [(family[0], family[1]) for family in block.families] == [
        ("x", "histogram"), ("y", "summary"), ("z_count", "counter"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xff\xff\xff\x0f", id="a-length-of-4-GiB"),
        pytest.param(bomb(17 * 1024 * 1024), id="a-bomb"),
        pytest.param(b"\x05abc", id="not-snappy"),
        pytest.param(request1(series1(UP, [(NOW, 1.0)]))[:-4], id="truncated"),
        pytest.param(packed(b"\x0a\x7fxx"), id="a-length-beyond-the-end"),
        pytest.param(packed(text(1, text(1, b"\x0a\xff")) + text(5, b"\x0a\xff")), id="truncated-inside"),
        pytest.param(packed(b"\x0a\x00" * 60_000 + b"\x2a\x00" * 60_000), id="too-many-series"),
        pytest.param(packed(text(1, bytes(2**20 + 1)) + text(5, bytes(2**20 + 1))), id="a-series-too-large"),
        pytest.param(packed(b"\x22\x00" * 500_001 + text(1, b"\xff")), id="too-many-symbols"),
        pytest.param(packed(text(1, b"\x12\x00" * 60_000) + b"\xff"), id="no-message-at-all"),
    ],
)
def test_what_is_no_message_is_refused_in_bounded_time_and_memory(form: Form, body: bytes) -> None:
    """Whatever lengths and counts it claims."""
    with pytest.raises(Unreadable):
        read(body, form)


def test_the_other_versions_message_is_not_taken_for_an_empty_one() -> None:
    """Each has fields that the other does not know: who names the wrong one would lose everything and hear nothing."""
    request = Symbols()
    request.add(UP, [(NOW, 1.0)])
    for form, body in ((Form.ONE, request.request()), (Form.TWO, request1(series1(UP, [(NOW, 1.0)])))):
        with pytest.raises(Unreadable, match="not the message"):
            read(body, form)
    assert [read(packed(b""), form).blocks for form in Form] == [[], []]


def test_too_many_samples_are_refused_before_they_are_read() -> None:
    """Empty messages are two bytes each on the wire."""
    many = series1(UP) + b"\x12\x00" * 50_001
    with pytest.raises(Unreadable, match="max_samples_per_send"):
        read(request1(many))


def test_blocks_stay_below_what_a_broker_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However badly they pack; together they hold everything."""
    sizes: list[int] = []
    monkeypatch.setattr(reading, "pack", raw_sizes(sizes))
    series = [series1({"__name__": "x", "l": f"{n:04}" + "v" * 8000}, [(NOW, 1.0)]) for n in range(500)]
    many = series1(UP, [(NOW + n, 1.0) for n in range(40_000)])
    written = read(request1(*series, many))
    assert max(sizes) < 1024 * 1024
    assert (written.samples, len(sizes) > 4) == (40_500, True)


def raw_sizes(sizes: list[int]) -> Any:
    """Packs nothing, and says how large each block is unpacked."""

    def pack(block: Block) -> bytes:
        sizes.append(sum(map(len, block.labels)) + 16 * len(block.times) + 16 * len(block.ids))
        return b"x"

    return pack


def test_memory_for_series_is_bounded() -> None:
    """Two generations; what is seen again stays, what is not goes."""
    memo, known = Memo(generation=10), series_of("prod", list(UP.items()))
    memo.put(("kept",), known)
    for number in range(100):
        memo.put((number,), known)
        assert memo.get(("kept",)) is known
    assert len(memo.young) + len(memo.old) <= 20
    assert memo.get((0,)) is None
