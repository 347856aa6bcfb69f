"""Whatever an object holds: the engine gives a verdict or a declared error, and no crash."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from schemas.events import FieldChange
from services.kube.api.errors import Invalid
from services.kube.correction.revert import put_back
from services.kube.declaration.packing import Packer, projection
from services.kube.masking import mask
from services.kube.objects import Object, managed_fields
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge, local_fields
from services.kube.writers.ownership import Writers, last_writer, owned_leaves
from services.runtime.errors import SetpointError
from services.watcher.changes import changed_paths
from tests.properties.cases import at_once, declare
from tests.properties.model import Model
from tests.properties.schemas import schema_of
from tests.strategies import GROUP, ODD, ODD_TEXT

pytestmark = pytest.mark.timeout(600)
EXAMPLES = settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)  # fmt: skip
API = {"Deployment": "apps/v1", "Widget": f"{GROUP}/v1", "Service": "v1", "ConfigMap": "v1", "Secret": "v1"}

STEP = st.sampled_from(
    ["f:spec", "f:data", "f:metadata", "f:labels", "f:template", "f:containers", 'k:{"name":"a"}', "k:{}", "k:[", "v:1",
     'v:"a"', "v:{}", "i:0", "i:-1", "i:99999999999", ".", "", "f:", "x", "k:" + "[" * 2000]
) | ODD_TEXT.map("f:{}".format)  # fmt: skip
FIELDS = st.recursive(st.just({}) | ODD, lambda child: st.dictionaries(STEP, child, max_size=4), max_leaves=8)
TIME = st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00Z", "x"]) | ODD
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "manager": st.sampled_from(["kubectl-edit", "deployer", "setpoint", "kube-controller-manager"]) | ODD,
        "operation": st.sampled_from(["Apply", "Update"]) | ODD, "time": TIME, "subresource": ODD | st.just("status"),
        "fieldsV1": FIELDS,
    },
)  # fmt: skip
ODD_MAP = st.dictionaries(ODD_TEXT, ODD, max_size=4)
SPEC = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("template", "rules", "tags", "steps", "table", "limit", "every", "replicas"), ODD)
) | ODD  # fmt: skip
METADATA = st.fixed_dictionaries(
    {}, optional={"labels": ODD_MAP | ODD, "annotations": ODD_MAP | ODD, "finalizers": ODD, "ownerReferences": ODD,
                  "managedFields": st.lists(ENTRY | ODD, max_size=4) | ODD, "creationTimestamp": TIME},
)  # fmt: skip
PARTS = {"spec": SPEC, "data": ODD_MAP | ODD, "stringData": ODD_MAP | ODD, "status": ODD}


def odd_object(kind: str, metadata: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    head = {"apiVersion": st.just(API[kind]), "kind": st.just(kind), "metadata": metadata}
    return st.fixed_dictionaries(head, optional=dict(PARTS))


def named(metadata: Any) -> Any:
    return {**metadata, "name": "x", "namespace": "n"} if isinstance(metadata, dict) else metadata


class Odd(Model):
    """A cluster that holds one odd object, refuses every write and answers every dry-run with another odd object."""

    def __init__(self, kind: str, answer: Object) -> None:
        super().__init__(schema_of(kind))
        self.answer = answer

    async def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        if not dry_run:
            raise Invalid("no", 422)
        return self.answer

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        return self.answer

    async def json_patch(self, *_: Any, **__: Any) -> Object:
        raise Invalid("no", 422)

    async def replace(self, *_: Any, **__: Any) -> Object:
        raise Invalid("no", 422)

    async def get(self, *_: Any) -> Object | None:
        return self.answer


def everything(kind: str, desired: Object, live: Object, answer: Object) -> Finding:
    """All that watcher, reconciler and `diff` do with an object, as far as it is decided and not sent."""
    declared, cluster = declare(desired), Odd(kind, answer)
    assert as_json(declared.obj) == as_json(desired)
    local_fields(declared, live, cluster.node)
    finding = at_once(judge(cluster, declared, live))  # type: ignore[arg-type]
    at_once(judge(cluster, declared, live, dry_run=False))  # type: ignore[arg-type]
    told = describe(live, desired, finding.fields, b"key", last_writer(live))
    assert all(isinstance(one, FieldChange) for one in told)
    packer = Packer()
    assert as_json(packer.unpack(packer.pack(projection(live)))) == as_json(projection(live))
    list(changed_paths(projection(desired), projection(live)))
    for entry in managed_fields(live):
        list(owned_leaves(entry, live))
    for diff in finding.fields:
        Writers(live).of(diff.path)
    mask(live, b"key")
    with suppress(SetpointError):
        at_once(put_back(cluster, declared, live, finding))  # type: ignore[arg-type]
    return finding


def as_json(value: Any) -> str:
    """Tells 1 from true and 1.0, and -0.0 from 0."""
    return json.dumps(value)


@pytest.mark.parametrize("kind", sorted(API))
@EXAMPLES
@given(data=st.data())
def test_no_object_is_too_odd(kind: str, data: st.DataObject) -> None:
    """Wrong types, impossible keys, numbers at the edges and nonsense in managedFields: a verdict all the same."""
    desired = data.draw(odd_object(kind, METADATA.map(named)))
    live, answer = data.draw(odd_object(kind, METADATA.map(named) | ODD)), data.draw(odd_object(kind, METADATA | ODD))
    everything(kind, desired, live, answer)


def nested(depth: int, bottom: Any, *, lists: bool) -> Any:
    value = bottom
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


@pytest.mark.parametrize("lists", [pytest.param(False, id="maps"), pytest.param(True, id="lists")])
@pytest.mark.parametrize("place", ["free", "steps", "table", "rules", "tags", "status", "nowhere"])
@pytest.mark.parametrize("depth", [90, 150, 260, 500])
def test_depth_ends_no_stack(depth: int, place: str, lists: bool) -> None:
    """A difference at the bottom of 500 levels is seen, added depth is told, and equal depth is in sync."""

    def widget(bottom: Any, *owned: Object) -> Object:
        metadata = {"name": "x", "namespace": "n", "managedFields": list(owned)}
        return {"apiVersion": API["Widget"], "kind": "Widget", "metadata": metadata,
                "spec": {place: nested(depth, bottom, lists=lists), "limit": "1"}}  # fmt: skip

    plain = {**widget(1), "metadata": {"name": "x", "namespace": "n"}}
    assert everything("Widget", plain, widget(1), widget(1)).state is None
    assert local_fields(declare(plain), widget(2), schema_of("Widget"))[0]
    owned = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {f"f:{place}": {}}}}
    bare = {**plain, "spec": {"limit": "1"}}
    found = everything("Widget", bare, widget(1, owned), bare)
    if place in ("rules", "tags") and lists:
        return  # items of such a list have owners of their own
    assert found.fields
    assert all(diff.path.startswith(f"/spec/{place}") for diff in found.fields)


@EXAMPLES
@given(st.lists(ODD_MAP, min_size=1, max_size=4))
@example([{"a": 2**200}, {"a": "\ud800"}, {"a": -0.0}, {"": {"": None}}])
@example([{"a": -0.0}, {"a": 2**200}, {"\ud800": 2**63}, {"a": float(2**70)}])
def test_what_is_packed_comes_back_whatever_it_is(objects: list[Object]) -> None:
    """Each the same to the last bit, and equal ones packed equally."""
    packer = Packer()
    packed = [packer.pack(obj) for obj in objects]
    for obj, one in zip(objects, packed, strict=True):
        assert packer.unpack(one) == obj
        again = json.loads(json.dumps(obj))
        assert packer.pack(again) == packer.pack(obj)


def test_what_is_deep_is_packed_too() -> None:
    """500 levels, as the first of its kind and as a later one."""
    packer, deep = Packer(), {"a": nested(500, "\ud800", lists=True)}
    assert packer.unpack(packer.pack(deep)) == deep
    assert packer.unpack(packer.pack({"a": 1})) == {"a": 1}
    assert packer.unpack(packer.pack(deep)) == deep
