"""Who wrote a field, as far as managedFields proves it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.kube.writers.ownership import Owner, author, last_writer, owned_leaves, owners


def entry(manager: str, fields: Any, at: str = "2026-11-24T10:00:00Z", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": fields, **more}


CONTAINER = 'k:{"name":"web"}'
LIVE: dict[str, Any] = {
    "metadata": {
        "labels": {"a/b": "1"},
        "finalizers": ["x", "y"],
        "managedFields": [
            entry("deployer", {"f:spec": {"f:containers": {CONTAINER: {".": {}, "f:image": {}, "f:name": {}}}}}),
            entry("kubectl-edit", {"f:spec": {"f:containers": {CONTAINER: {"f:image": {}}}}}, "2026-11-24T11:00:00Z"),
            entry("kubelet", {"f:status": {}}, "2026-11-24T12:00:00Z", subresource="status"),
            entry("labeller", {"f:metadata": {"f:labels": {".": {}, "f:a/b": {}}, "f:finalizers": {'v:"y"': {}}}}),
            entry("atomic", {"f:spec": {"f:selector": {}}}, "not a time"),
            "not an entry",
        ],
    },
    "spec": {"containers": [{"name": "side"}, {"name": "web", "image": "x", "env": []}], "selector": {"app": "web"}},
}


@pytest.mark.parametrize(
    ("path", "managers"),
    [
        pytest.param("/spec/containers/1/image", ["kubectl-edit", "deployer"], id="newest-first"),
        pytest.param("/spec/containers/0/image", [], id="another-item-of-the-list"),
        pytest.param("/spec/containers/1/env", [], id="nobody"),
        pytest.param("/metadata/labels/a~1b", ["labeller"], id="key-with-a-slash"),
        pytest.param("/metadata/finalizers/1", ["labeller"], id="item-of-a-set"),
        pytest.param("/spec/selector/app", ["atomic"], id="below-an-atomic-leaf"),
        pytest.param("/spec/containers/9", [], id="no-such-index"),
        pytest.param("/spec/containers/x", [], id="no-index"),
    ],
)
def test_owners_of_a_path(path: str, managers: list[str]) -> None:
    """An item of a map list is found by its key, wherever it stands now."""
    assert [owner.manager for owner in owners(LIVE, path)] == managers


def test_the_author_has_a_time_in_utc() -> None:
    """To the second, as the server keeps it; an unreadable time is none."""
    at = datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert author(LIVE, "/spec/containers/1/image") == Owner("kubectl-edit", "Update", "", at)
    assert author(LIVE, "/spec/selector") == Owner("atomic", "Update", "", None)
    assert author(LIVE, "/spec/nothing") is None


def test_status_is_not_a_write_to_the_object() -> None:
    """A kubelet that reports is not who changed something."""
    found = last_writer(LIVE)
    assert found is not None
    assert found.manager == "kubectl-edit"


def test_a_wiped_trace_proves_nobody() -> None:
    """`managedFields: [{}]` is what a wipe leaves."""
    assert author({"metadata": {"managedFields": [{}]}, "spec": {"a": 1}}, "/spec/a") is None
    assert last_writer({"metadata": {}}) is None


def test_owned_leaves_are_those_that_are_there_now() -> None:
    """What an entry names and the object no longer has is no leaf."""
    gone = entry("m", {"f:spec": {"f:gone": {}, "f:selector": {}}})
    assert list(owned_leaves(gone, LIVE)) == ["/spec/selector"]


@pytest.mark.parametrize("fields", [None, [], "text", {"k:not json": {}}, {"f:spec": None}, {"v:": {}}])
def test_odd_fields_own_nothing(fields: Any) -> None:
    """Whatever stands in fieldsV1, reading it does not fail."""
    live = {"metadata": {"managedFields": [entry("m", fields)]}, "spec": {"a": [1]}}
    assert owners(live, "/spec/a/0") == []
    assert list(owned_leaves(entry("m", fields), live)) in ([], ["/spec"])
