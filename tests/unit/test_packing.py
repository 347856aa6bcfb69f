"""Objects are kept small, and equal ones have equal packed forms."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.kube.declaration.packing import Packer, projection

OBJECTS = st.dictionaries(
    st.text(max_size=5), st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists)
)


@given(st.lists(OBJECTS, min_size=1, max_size=5))
def test_what_is_packed_comes_back(objects: list[dict[str, Any]]) -> None:
    """The first object is the dictionary of the others, whatever it is."""
    packer = Packer()
    packed = [packer.pack(obj) for obj in objects]
    assert [packer.unpack(one) for one in packed] == objects
    assert [packer.pack(obj) for obj in objects][1:] == packed[1:]


def test_the_second_of_a_kind_is_small() -> None:
    """Two Deployments that differ in a name cost one."""
    packer = Packer()
    first = {"spec": {f"field-{number}": f"value {number * 7919}" for number in range(100)}, "name": "first"}
    packer.pack(first)
    assert len(packer.pack({**first, "name": "second"})) < 100


def test_a_projection_holds_what_somebody_may_change() -> None:
    """Status and the server's own bookkeeping change all the time and mean nothing."""
    metadata = {"labels": {"a": "1"}, "resourceVersion": "5", "managedFields": [], "generation": 2, "uid": "u"}
    live = {"apiVersion": "v1", "kind": "X", "metadata": metadata, "spec": {"a": 1}, "status": {"b": 1}, "data": {}}
    assert projection(live) == {"spec": {"a": 1}, "data": {}, "metadata": {"labels": {"a": "1"}}}
