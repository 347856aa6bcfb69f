"""Blocks of samples: what goes in comes out bit by bit, and what is none is refused, whatever it claims."""

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.sampleblocks import (
    MAGIC,
    MOST_UNPACKED,
    Block,
    Family,
    Histogram,
    Malformed,
    canonical,
    labels_of,
    name_of,
    pack,
    series_id,
    unpack,
)

texts = st.text(max_size=20)
labels = st.dictionaries(texts.filter(bool), texts, max_size=5)
times = st.integers(-(2**63), 2**63 - 1)
floats = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0])
sums = st.floats(allow_nan=False)
buckets = st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.floats(0, 1e18), max_size=4)
histograms = st.builds(
    Histogram, st.integers(0, 2**64 - 1), texts, times, st.floats(0, 1e18), sums, st.integers(-128, 127),
    st.floats(0, 1), st.floats(0, 1e18), buckets, buckets, st.lists(st.floats(0, 1e18), max_size=3), st.booleans(),
)  # fmt: skip


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Any block that a gateway could make, and more."""
    series = draw(st.lists(st.tuples(texts, labels, st.lists(st.tuples(times, floats), max_size=4)), max_size=6))
    block = Block(draw(texts))
    for name, named, samples in series:
        text = canonical(name, named)
        block.ids.append(series_id(block.sender, text))
        block.counts.append(len(samples))
        block.labels.append(text)
        block.times.extend([time for time, _ in samples])
        block.values.extend([value for _, value in samples])
    block.families = draw(st.lists(st.builds(Family, texts, texts, texts, texts), max_size=2))
    block.histograms = draw(st.lists(histograms, max_size=2))
    return block


@given(blocks())
def test_a_block_comes_out_as_it_went_in(block: Block) -> None:
    """Values by their bits, not by what they compare as."""
    found = unpack(pack(block))
    assert found.values.tobytes() == block.values.tobytes()
    found.values = block.values = array("d")
    assert found == block


@given(texts, labels)
def test_labels_can_be_read_again(name: str, named: dict[str, str]) -> None:
    """Whatever they hold, and in whatever order they came."""
    text = canonical(name, dict(reversed(named.items())))
    assert (name_of(text), labels_of(text)) == (name, named)
    assert text == canonical(name, named)


@given(blocks(), st.data())
def test_a_damaged_block_is_malformed_or_a_block(block: Block, data: st.DataObject) -> None:
    """Never another failure: the recorder puts it to the dead letters and goes on."""
    value = bytearray(pack(block))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(value)))
    for damaged in (bytes(value), bytes(value[:cut])):
        try:
            unpack(damaged)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"type": "x"}', id="an-event"),
        pytest.param(MAGIC, id="no-length"),
        pytest.param(MAGIC + (MOST_UNPACKED + 1).to_bytes(4, "little") + pack(Block("x"))[8:], id="claims-too-much"),
        pytest.param(MAGIC + (10).to_bytes(4, "little") + pack(Block("x"))[8:], id="claims-too-little"),
        pytest.param(pack(Block("x"))[:-1], id="truncated"),
        pytest.param(pack(Block("x", counts=array("I", [1]))), id="columns-of-two-lengths"),
        pytest.param(pack(Block("x", times=array("q", [1]), values=array("d", [1.0]))), id="samples-of-no-series"),
    ],
)
def test_what_is_no_block_is_refused(value: bytes) -> None:
    """In bounded memory: nothing unpacks to more than it says, and nothing may say too much."""
    with pytest.raises(Malformed):
        unpack(value)
