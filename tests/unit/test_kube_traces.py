"""Who wrote between two looks at an object: whose entry is new, or has another time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.writers.traces import ENTRY, MOST, traces, who_moved


def entry(manager: str, second: int = 0, operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "time": f"2026-11-24T10:00:{second:02}Z", **more}


def obj(*entries: Any) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


DEPLOYER = entry("deployer", operation="Apply")
EDIT, CONTROLLER = entry("kubectl-edit", 5), entry("kube-controller-manager", 5)


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [
        pytest.param([DEPLOYER], [DEPLOYER], None, id="nobody"),
        pytest.param([DEPLOYER], [DEPLOYER, EDIT], "kubectl-edit", id="new"),
        pytest.param([DEPLOYER, entry("kubectl-edit")], [DEPLOYER, EDIT], "kubectl-edit", id="another-time"),
        pytest.param([DEPLOYER], [entry("deployer", 9, "Apply")], "deployer", id="an-apply-that-took-away"),
        pytest.param([DEPLOYER, EDIT], [DEPLOYER], None, id="gone-is-no-proof"),
        pytest.param([DEPLOYER], [DEPLOYER, EDIT, CONTROLLER], "kubectl-edit", id="the-person-of-two"),
        pytest.param([DEPLOYER], [DEPLOYER, EDIT, entry("kubectl-patch", 5)], None, id="two-people"),
        pytest.param([DEPLOYER], [entry("deployer", 9, "Apply"), CONTROLLER], None, id="no-person-of-two"),
        pytest.param([DEPLOYER], [DEPLOYER, entry("kubelet", 5, subresource="status")], None, id="a-status"),
        pytest.param([DEPLOYER], [DEPLOYER, entry("deployer", 5)], "deployer", id="another-operation"),
        pytest.param([EDIT], [entry("kubectl-edit", 5, subresource="scale"), EDIT], "kubectl-edit", id="through-scale"),
        pytest.param([DEPLOYER], [{}], "", id="wiped"),
    ],
)
def test_who_moved(before: list[Any], after: list[Any], who: str | None) -> None:
    """Exactly one, or the one person's tool among several; never a guess."""
    owner = who_moved(obj(*after), traces(obj(*before)))
    assert (owner.manager if owner else None) == who


def test_an_entry_takes_twelve_bytes() -> None:
    """Some tens of thousands of objects are remembered."""
    assert len(traces(obj(DEPLOYER, EDIT, CONTROLLER))) == 3 * ENTRY.size == 36


def test_no_object_has_more_traces_than_their_number_says() -> None:
    """Their number is kept in a byte."""
    assert len(traces(obj(*(entry(f"m{number}") for number in range(1000))))) == MOST * ENTRY.size


@pytest.mark.parametrize("fields", [None, [], "text", ["text"], [None], [{"manager": 1, "time": []}]])
def test_odd_entries_are_read_without_failing(fields: Any) -> None:
    """Whatever stands in managedFields."""
    odd = {"metadata": {"managedFields": fields}}
    assert who_moved(odd, traces(odd)) is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 59)), unique_by=lambda pair: pair[0], max_size=6))
def test_an_object_that_stands_still_moves_nobody(pairs: list[tuple[str, int]]) -> None:
    """In whatever order the server lists its entries."""
    entries = [entry(manager, second) for manager, second in pairs]
    assert who_moved(obj(*reversed(entries)), traces(obj(*entries))) is None
