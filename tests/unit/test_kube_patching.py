"""Corrections beside server-side apply: what they take out, what they set, and what they leave."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.comparison.diff import subset_diff
from services.kube.comparison.schema import SchemaNode
from services.kube.correction.patching import corrected, removals, removed_paths
from services.kube.objects import Object
from services.kube.pointer import FieldDiff, escape, parse_ignore, parse_pointer, resolve

TEXT = SchemaNode()
ITEM = SchemaNode(fields={"name": TEXT, "value": TEXT, "other": TEXT})
LIST = SchemaNode(list_type="map", keys=("name",), items=ITEM)
SPEC = SchemaNode(fields={"items": LIST, "replicas": TEXT, "free": SchemaNode(values=SchemaNode(values=TEXT))})
SCHEMA = SchemaNode(fields={"spec": SPEC})

names = st.sampled_from(["a", "b/c", "d~e", "0", "f"])
scalars = st.sampled_from(["x", "y", 1, 2, True])
items = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"value": scalars, "other": scalars}),
    max_size=4, unique_by=lambda item: item["name"],
)  # fmt: skip
maps = st.dictionaries(names, st.dictionaries(names, scalars, min_size=1, max_size=3), max_size=3)
specs = st.fixed_dictionaries({"items": items, "free": maps}, optional={"replicas": scalars})


def obj_of(spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


def added(declared: Any, live: Any, path: str = "") -> list[FieldDiff]:
    """What only the live value has, at the topmost paths."""
    if isinstance(declared, dict) and isinstance(live, dict):
        found = []
        for name, value in live.items():
            at = f"{path}/{escape(name)}"
            found += added(declared[name], value, at) if name in declared else [FieldDiff(at, "added", None, value)]
        return found
    if isinstance(declared, list) and isinstance(live, list):
        by_name, found = {item["name"]: item for item in declared}, []
        for index, item in enumerate(live):
            at = f"{path}/{index}"
            known = by_name.get(item["name"])
            found += added(known, item, at) if known else [FieldDiff(at, "added", None, item)]
        return found
    return []


def plain(obj: Object) -> Object:
    """Without the order of the list, and without empty maps, which mean nothing."""
    spec = deepcopy(obj["spec"])
    spec["items"] = sorted(spec["items"], key=lambda item: str(item["name"]))
    spec["free"] = {name: value for name, value in spec["free"].items() if value}
    return {**obj, "spec": spec}


@given(want=specs, have=specs)
def test_all_differences_are_undone_at_once(want: Any, have: Any) -> None:
    """Whatever stands there: afterwards it is what is declared, and nothing else."""
    obj, live = obj_of(want), obj_of(have)
    fields = [*subset_diff(obj, live, SCHEMA), *added(want, have, "/spec")]
    before = deepcopy((obj, live))
    for wider in (False, True):
        made = corrected(obj, live, fields, (), SCHEMA, wider=wider)
        assert plain(made) == plain(obj)
    assert (obj, live) == before


@given(want=specs, have=specs)
def test_the_patch_takes_out_what_was_added_and_nothing_else(want: Any, have: Any) -> None:
    """Operation by operation, as a server applies it: each test holds, and no removal shifts a later one."""
    live = obj_of(have)
    patched = applied(removals(live, added(want, have, "/spec"), ()), live)
    assert added(want, patched["spec"], "/spec") == []
    assert differing(want, patched) == differing(want, live)


def differing(want: Any, live: Object) -> list[str]:
    """The declared fields that differ, wherever in a list they stand."""
    return sorted(repr((diff.kind, diff.desired, diff.live)) for diff in subset_diff(obj_of(want), live, SCHEMA))


def applied(operations: list[dict[str, Any]], obj: Object) -> Object:
    """RFC 6902, as far as it is used here."""
    obj = deepcopy(obj)
    for operation in operations:
        path = parse_pointer(operation["path"])
        if operation["op"] == "test":
            assert resolve(obj, path, "nothing") == operation["value"]
            continue
        parent = resolve(obj, path[:-1])
        if isinstance(parent, list):
            del parent[int(path[-1])]
        else:
            del parent[path[-1]]
    return obj


@pytest.mark.parametrize(
    ("ignore", "paths"),
    [
        pytest.param((), [("data",)], id="nothing ignored"),
        pytest.param(("/data/a",), [("data", "b"), ("data", "c")], id="one key"),
        pytest.param(("/data/*",), [], id="every key"),
        pytest.param(("/data",), [], id="the whole"),
        pytest.param(("/data/c/x",), [("data", "a"), ("data", "b"), ("data", "c", "y")], id="deeper"),
        pytest.param(("/other",), [("data",)], id="elsewhere"),
    ],
)
def test_what_a_rule_covers_is_not_removed(ignore: tuple[str, ...], paths: list[tuple[str, ...]]) -> None:
    """Also where it is only a part of what was added."""
    live = {"data": {"a": 1, "b": 2, "c": {"x": 1, "y": 2}}}
    found = removed_paths(live, [FieldDiff("/data", "added", None, live["data"])], parse_ignore(ignore))
    assert sorted(found) == paths


def test_an_unwanted_list_item_goes_as_a_whole() -> None:
    """A rule for a field inside it does not keep a torso that has no name."""
    live = {"spec": {"items": [{"name": "a", "value": 1}]}}
    diff = FieldDiff("/spec/items/0", "added", None, live["spec"]["items"][0])
    assert removed_paths(live, [diff], parse_ignore(["/spec/items/*/value"])) == [("spec", "items", "0")]


def test_wider_sets_what_stands_around_a_field() -> None:
    """A value next to it that nobody is known to have added goes; what a rule covers there stays."""
    obj = obj_of({"items": [], "free": {"limits": {"cpu": "1"}}})
    live = obj_of({"items": [], "free": {"limits": {"cpu": "2", "stray": "9"}}})
    fields = subset_diff(obj, live, SCHEMA)
    assert corrected(obj, live, fields, (), SCHEMA, wider=False)["spec"]["free"]["limits"] == {"cpu": "1", "stray": "9"}
    assert corrected(obj, live, fields, (), SCHEMA, wider=True)["spec"]["free"]["limits"] == {"cpu": "1"}
    ignore = parse_ignore(["/spec/free/limits/stray"])
    assert corrected(obj, live, fields, ignore, SCHEMA, wider=True)["spec"]["free"]["limits"]["stray"] == "9"
