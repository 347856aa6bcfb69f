"""What changed between two states: paths and a manager, never values."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.target import Target
from services.kube.writers.ownership import Owner
from services.watcher.changes import MOST_PATHS, change_event, changed_paths

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TARGET = Target(cluster="c1", group="", kind="ConfigMap", namespace="n", name="c", uid="u1")
EDITOR = Owner("kubectl-edit", "Update", "", NOON)


def event(before: Any, after: Any, version: str = "7") -> Any:
    return change_event(TARGET, before, after, after, EDITOR, version, NOON)


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ["/b"]),
        ({"a": {"x": 1}}, {"a": {"y": 1}}, ["/a/x", "/a/y"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["/a/1"]),
        ({"a": [1]}, {"a": [1, 2]}, ["/a"]),
        ({"a": None}, {}, ["/a"]),
        ({"a": 1}, {"a": {"b": 1}}, ["/a"]),
    ],
)
def test_paths_are_the_smallest_parts_that_differ(before: Any, after: Any, paths: list[str]) -> None:
    """A list whose length changed is one part."""
    assert list(changed_paths(before, after)) == paths


def test_a_change_names_no_value() -> None:
    """Whatever the kind is: the topic of changes may be read by many."""
    found = event({"data": {"k": "hunter2"}}, {"data": {"k": "hunter3"}})
    assert "hunter" not in found.model_dump_json()
    assert (found.data.operation, found.data.paths, found.data.manager) == ("updated", ("/data/k",), "kubectl-edit")


@pytest.mark.parametrize(("before", "after", "operation"), [(None, {"a": 1}, "created"), ({"a": 1}, None, "deleted")])
def test_comings_and_goings(before: Any, after: Any, operation: str) -> None:
    """No paths: all of it came or went."""
    found = event(before, after)
    assert (found.data.operation, found.data.paths) == (operation, ())


def test_who_owns_the_changed_field_now_has_changed_it() -> None:
    """Also where another manager wrote the object within the same second; a removal leaves no owner."""
    fields: Any = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": "kubectl-scale", "operation": "Update", "fieldsV1": fields}
    live = {"metadata": {"managedFields": [entry]}, "spec": {"replicas": 5}}
    scaled = change_event(TARGET, {"spec": {"replicas": 2}}, {"spec": {"replicas": 5}}, live, EDITOR, "7", NOON)
    taken = change_event(TARGET, {"spec": {"x": 1}}, {"spec": {}}, live, EDITOR, "7", NOON)
    assert [event.data.manager for event in (scaled, taken) if event] == ["kubectl-scale", "kubectl-edit"]


def test_equal_states_are_no_change() -> None:
    """A resync tells nothing."""
    assert event({"a": 1}, {"a": 1}) is None
    assert event(None, None) is None


def test_the_same_change_has_the_same_id() -> None:
    """Two watchers that see one write tell one event; another write is another event."""
    assert event({"a": 1}, {"a": 2}).id == event({"a": 0}, {"a": 2}).id
    assert event({"a": 1}, {"a": 2}).id != event({"a": 1}, {"a": 2}, "8").id


def test_a_huge_change_is_cut() -> None:
    """A record stays small."""
    assert len(event({}, {str(number): 1 for number in range(1000)}).data.paths) == MOST_PATHS


@given(st.recursive(st.integers(), lambda c: st.dictionaries(st.text("ab"), c) | st.lists(c)), st.data())
def test_unequal_values_have_paths_and_equal_ones_none(value: Any, data: st.DataObject) -> None:
    """The paths are empty exactly where nothing differs."""
    other = data.draw(st.just(value) | st.integers() | st.dictionaries(st.text("ab"), st.integers()))
    assert bool(list(changed_paths(value, other))) == (value != other)
