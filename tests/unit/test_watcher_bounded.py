"""An event is of a size that a broker takes, whatever the object's."""

import orjson
import pytest

from schemas.events import FieldChange
from services.watcher.bounded import EVENT_BYTES, bounded


def change(live: object, at: int = 0) -> FieldChange:
    return FieldChange(path=f"/data/{at}", kind="changed", desired="x", live=live)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("value", [None, 1, "text", ["a", {"b": 1.5}], deep(50), "ü" * 4000])
def test_an_ordinary_value_is_told_as_it_is(value: object) -> None:
    """The very same change."""
    one = change(value)
    assert bounded([one])[0][0] is one


@pytest.mark.parametrize(("value", "words"), [("x" * 1_000_000, "1000002 bytes"), (deep(150), "nested too deeply")])
def test_a_value_too_large_or_too_deep_is_told_by_its_size_and_hash(value: object, words: str) -> None:
    """So that another value there is another event."""
    ((one,), left_out) = bounded([change(value)])
    assert words in str(one.live)
    assert (one.desired, left_out) == ("x", 0)
    assert bounded([change(value)])[0][0] == one
    ((other,), _) = bounded([change([value, 2])])
    assert other.live != one.live


def test_of_very_many_fields_some_are_only_counted() -> None:
    """Ten thousand keys of a kilobyte each are ten megabytes."""
    kept, left_out = bounded(change("y" * 1000, at) for at in range(10_000))
    assert len(kept) + left_out == 10_000
    assert kept
    assert len(orjson.dumps([one.model_dump() for one in kept])) < EVENT_BYTES
