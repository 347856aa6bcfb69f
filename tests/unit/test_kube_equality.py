"""When two spellings are one value to Kubernetes."""

from decimal import Decimal

import pytest

from services.kube.comparison.equality import duration, is_empty, quantity, same_scalar
from services.kube.comparison.schema import SchemaNode


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", "0.1"), ("0.1", "0.1"), ("1k", "1000"), ("1Ki", "1024"), ("1e3", "1000"), ("-5", "-5"), (".5", "0.5"),
     ("5.", "5"), ("1Gi", "1073741824"), ("1E", "1000000000000000000"), ("12e-1", "1.2")],
)  # fmt: skip
def test_quantities_are_exact_numbers(text: str, value: str) -> None:
    """No float rounding on the way."""
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1KB", "m", "1 Gi", "one", "1e99999", "--1"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    """A name is never compared as a number."""
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h30m", "5400"), ("8760h", "31536000"), ("8760h0m0s", "31536000"), ("-1.5s", "-1.5"), ("0", "0")],
)
def test_durations_are_go_durations(text: str, seconds: str) -> None:
    """Go's own format, whatever units it is written in."""
    assert duration(text) == Decimal(seconds)


@pytest.mark.parametrize("text", ["", "5", "1d", "h", "1h 30m", "P1D"])
def test_what_is_no_duration_is_none(text: str) -> None:
    """Bare numbers and other units are no durations to Go."""
    assert duration(text) is None


@pytest.mark.parametrize(
    ("node", "desired", "live", "same"),
    [
        pytest.param(SchemaNode(is_quantity=True), "1000m", "1", True, id="quantity"),
        pytest.param(SchemaNode(), "1000m", "1", False, id="plain-text-is-not-a-quantity"),
        pytest.param(SchemaNode(is_int_or_string=True), 80, "80", True, id="int-or-string"),
        pytest.param(SchemaNode(), 80, "80", False, id="a-number-is-no-text"),
        pytest.param(SchemaNode(is_duration=True), "60m", "1h", True, id="duration"),
        pytest.param(SchemaNode(is_duration=True), "60m", "2h", False, id="other-duration"),
        pytest.param(SchemaNode(), True, 1, False, id="bool-and-number"),
        pytest.param(SchemaNode(), "a", {"a": 1}, False, id="scalar-and-map"),
    ],
)
def test_scalars_are_compared_by_what_the_schema_says(
    node: SchemaNode, desired: object, live: object, same: bool
) -> None:
    """A text is only more than a text where the schema says so."""
    assert same_scalar(desired, live, node) is same


def test_maps_of_nothing_are_empty() -> None:
    """The server drops them when it stores an object."""
    assert is_empty({"a": None, "b": {}, "c": []})
    assert not is_empty({"a": 0})
