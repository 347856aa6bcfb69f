"""What is watched of a kind: as little as is certain to miss nothing."""

from typing import Any

import pytest

from schemas.baseline import PruneMode
from services.kube.api.discovery import Resource
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import key_of
from services.kube.verdict.unwanted import PruneRule
from services.watcher.plan import FEW, SHARE, WORTH, Slice, selector, slices

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset({"list", "watch"}))
PART_OF, INSTANCE = "app.kubernetes.io/part-of", "app.kubernetes.io/instance"


def entry(name: str, namespace: str = "n", **labels: str) -> Declared:
    named = {
        "name": name,
        "namespace": namespace,
        "labels": {PART_OF if k == "part" else INSTANCE: v for k, v in labels.items()},
    }
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named}
    packer = Packer()
    return Declared("base", key_of(obj), "v1", packer.pack(obj), packer, (), frozenset(), None, "f", 1, "d")


def rule(value: str = "base", *, label: str = PART_OF, namespaces: tuple[str, ...] = ("n",)) -> PruneRule:
    return PruneRule("base", PruneMode.REPORT, label, value, "v1", frozenset(namespaces))


TWO = [entry("a", part="x"), entry("b", part="x")]
SPREAD = [entry("a", f"n{at}") for at in range(FEW + 1)]


@pytest.mark.parametrize(
    ("entries", "rules", "there", "wanted"),
    [
        pytest.param([entry("a")], (), 5000, {("n", "", "a")}, id="one-object-by-name"),
        pytest.param([entry("a")], (rule(),), 5, {("", "", "")}, id="one-object-and-what-should-not-be-there"),
        pytest.param(TWO, (), WORTH - 1, {("", "", "")}, id="few-objects-are-all-watched"),
        pytest.param(TWO, (), WORTH, {("", f"{PART_OF}=x", "")}, id="many-others-and-one-label"),
        pytest.param([entry("a"), entry("b")], (), WORTH, {("n", "", "")}, id="many-others-in-other-namespaces"),
        pytest.param(SPREAD, (), WORTH, {("", "", "")}, id="many-others-and-nothing-to-tell-them-by"),
        pytest.param(TWO, (), None, {("n", "", "")}, id="no-right-to-list-everywhere"),
        pytest.param(
            TWO, (rule(namespaces=("n", "m")),), None, {("n", "", ""), ("m", "", "")}, id="nor-where-it-may-be-unwanted"
        ),
    ],
)  # fmt: skip
def test_as_little_as_is_certain(
    entries: list[Declared], rules: tuple[PruneRule, ...], there: int | None, wanted: set[tuple[str, str, str]]
) -> None:
    """Namespace, labels and name of each watch."""
    found = slices(CONFIG_MAPS, entries, rules, there)
    assert {(one.namespace, one.labels, one.name) for one in found} == wanted


def test_a_filter_is_not_worth_it_where_most_objects_are_declared() -> None:
    """Reading every manifest for its labels costs more then than it saves."""
    entries = [entry(f"o{at}", part="x") for at in range(WORTH // SHARE + 1)]
    assert slices(CONFIG_MAPS, entries, (), WORTH) == {Slice(CONFIG_MAPS)}


@pytest.mark.parametrize(
    ("entries", "rules", "wanted"),
    [
        pytest.param([entry("a", part="x"), entry("b")], (), "", id="one-lacks-it"),
        pytest.param([entry("a", part="x"), entry("b", part="y")], (), f"{PART_OF} in (x,y)", id="two-values"),
        pytest.param([entry("a", part="x", app="1"), entry("b", part="x", app="2")], (), f"{PART_OF}=x", id="fewest"),
        pytest.param([entry(str(at), part=str(at)) for at in range(11)], (), "", id="too-many-values"),
        pytest.param(TWO, (rule("x"),), f"{PART_OF}=x", id="the-label-of-what-should-not-be-there"),
        pytest.param(TWO, (rule("z"),), f"{PART_OF} in (x,z)", id="its-value-is-another"),
        pytest.param(TWO, (rule("x", label=INSTANCE),), "", id="its-label-is-another"),
        pytest.param(TWO, (rule("x"), rule("x", label=INSTANCE)), "", id="two-labels-of-that-sort"),
    ],
)
def test_a_label_is_used_only_where_all_that_is_looked_for_carries_it(
    entries: list[Declared], rules: tuple[PruneRule, ...], wanted: str
) -> None:
    """Declared and unwanted objects alike."""
    assert selector(entries, rules) == wanted


@pytest.mark.parametrize(
    ("one", "query"),
    [
        pytest.param(Slice(CONFIG_MAPS), {}, id="all"),
        pytest.param(Slice(CONFIG_MAPS, "n", "a=b"), {"labelSelector": "a=b"}, id="labels"),
        pytest.param(Slice(CONFIG_MAPS, "n", name="x"), {"fieldSelector": "metadata.name=x"}, id="name"),
    ],
)
def test_a_slice_as_a_request(one: Slice, query: dict[str, Any]) -> None:
    """And which keys it holds."""
    assert one.query == query
    assert one.holds(entry("x").key)
    assert one.holds(entry("y", "m").key) is (one == Slice(CONFIG_MAPS))
