"""What sources in a cluster make of odd answers and odd contents: never more than a problem with a name."""

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.baseline import Baseline
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue, Resource
from services.kube.api.errors import Gone, NotFound, Unavailable
from services.kube.declaration.baselines import Declared
from services.kube.declaration.origins.followed import reader_of
from services.kube.declaration.origins.listing import chosen, each_metadata, places
from services.kube.declaration.origins.note import as_of
from services.kube.objects import LAST_APPLIED, Object
from services.kube.writers.marks import is_kept
from tests.helm import encoded, stored
from tests.watching import config_map

VERBS = frozenset({"get", "list", "watch"})
SECRET = Resource("", "v1", "Secret", "secrets", True, VERBS)
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True, VERBS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.sampled_from(["v1", "", "a/b/c"]) | JSON,
        "kind": st.sampled_from(["ConfigMap", "List", "ConfigMapList"]) | JSON,
        "metadata": st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "namespace", "labels"), JSON)) | JSON,
        "items": JSON,
        "spec": JSON,
    },
)


class Store:
    """A cluster that holds these Secrets and ConfigMaps, a page of two at a time."""

    def __init__(self, *objects: Object) -> None:
        self.objects = {
            f"{self._resource(obj).path('n', obj['metadata']['name'])}": {
                **obj, "metadata": {**obj["metadata"], "uid": obj["metadata"]["name"], "resourceVersion": "1"},
            }
            for obj in objects
        }  # fmt: skip
        self.catalogue = Catalogue([SECRET, CONFIG_MAP])
        self.session = self

    def _resource(self, obj: Object) -> Resource:
        return SECRET if obj["kind"] == "Secret" else CONFIG_MAP

    def resource(self, group: str, kind: str) -> Resource:
        return SECRET if kind == "Secret" else CONFIG_MAP

    def bind(self, manifest: Object) -> Object:
        if manifest["kind"] != "ConfigMap":
            raise NotFound("not served", 404)
        return manifest

    async def request(self, method: str, path: str, *, params: Any = None, **_: Any) -> Any:
        if path in self.objects:
            return self.objects[path]
        kind = SECRET.plural if path.endswith(SECRET.plural) else CONFIG_MAP.plural
        return {"items": [obj for at, obj in self.objects.items() if f"/{kind}/" in at], "metadata": {}}


def read(source: dict[str, Any], *objects: Object) -> tuple[list[Declared], list[str]]:
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "base"}}
    reader = reader_of(Baseline.model_validate({**header, "spec": {"source": source}}), "")
    cluster: Cluster = Store(*objects)  # type: ignore[assignment]
    found = asyncio.run(reader.read(cluster))
    return list(found.objects), list(found.problems)


def annotated(note: str) -> Object:
    obj = config_map("n", "odd")
    return {**obj, "metadata": {**obj["metadata"], "annotations": {LAST_APPLIED: note}}}


@given(st.text(max_size=20) | JSON.map(lambda value: orjson.dumps(_small(value)).decode()) | PARTS.map(
    lambda value: orjson.dumps(_small(value)).decode()))  # fmt: skip
def test_no_note_is_more_than_a_problem(note: str) -> None:
    """Anybody who may edit an object can write anything into its annotations."""
    objects, problems = read({"lastApplied": {"kinds": ["ConfigMap"]}}, annotated(note))
    assert len(objects) + len(problems) <= 1


@pytest.mark.parametrize("depth", [200, 400, 900, 5000])
def test_a_note_that_nests_deeply_is_no_more_than_a_problem(depth: int) -> None:
    """Whether or not it can be read, packed or compared; also when it is read from the live object."""
    nested = '{"a":' * depth + "1" + "}" * depth
    note = orjson.dumps({**config_map("n", "odd"), "data": "@"}).decode().replace('"@"', nested)
    objects, problems = read({"lastApplied": {"kinds": ["ConfigMap"]}}, annotated(note))
    assert len(objects) + len(problems) == 1
    good = read({"lastApplied": {"kinds": ["ConfigMap"]}}, annotated(orjson.dumps(config_map("n", "odd")).decode()))[0]
    as_of(good[0], annotated(note))


@given(JSON | st.fixed_dictionaries({"manifest": st.text(max_size=40) | PARTS.map(
    lambda value: orjson.dumps(_small(value)).decode())}))  # fmt: skip
def test_no_release_is_more_than_a_problem(release: Any) -> None:
    """A good release beside it counts all the same."""
    good = {"manifest": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n"}
    objects, _ = read(
        {"helm": {}},
        stored("n", "odd", 1, encoded(_small(release))),
        stored("n", "good", 1, encoded(good)),
    )
    assert "good" in {declared.key.name for declared in objects}


def _small(value: Any) -> Any:
    """Integers as JSON can carry them here."""
    if isinstance(value, dict):
        return {name: _small(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_small(part) for part in value]
    return max(min(value, 2**63 - 1), -(2**63)) if isinstance(value, int) and not isinstance(value, bool) else value


THING = Resource("things.example.org", "v1", "Thing", "things", True, VERBS)
NOTE = config_map("n", "note")


@pytest.mark.parametrize(
    ("down", "status", "raises"),
    [
        pytest.param(THING, 503, False, id="an extension is down"),
        pytest.param(THING, 0, True, id="nobody answers"),
        pytest.param(CONFIG_MAP, 503, True, id="the server itself is overloaded"),
    ],
)
async def test_an_extension_that_is_down_hides_nothing_else(down: Resource, status: int, raises: bool) -> None:
    """A broken APIService is common and may stay for weeks; no answer at all says nothing about any object."""

    class Broken(Store):
        async def request(self, method: str, path: str, **more: Any) -> Any:
            if path.endswith(down.plural):
                raise Unavailable("service unavailable", status)
            return await super().request(method, path, **more) if "things" not in path else {"metadata": {}}

    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "base"}}
    reader = reader_of(Baseline.model_validate({**header, "spec": {"source": {"lastApplied": {}}}}), "")
    annotations = {LAST_APPLIED: orjson.dumps(NOTE).decode()}
    store: Any = Broken({**NOTE, "metadata": {**NOTE["metadata"], "annotations": annotations}})
    store.catalogue = Catalogue([CONFIG_MAP, THING])
    if raises:
        with pytest.raises(Unavailable):
            await reader.read(store)
        return
    found = await reader.read(store)
    assert [declared.key.name for declared in found.objects] == ["note"]
    assert found.problems == ("last-applied: service unavailable",)


class Pages:
    """A server whose continue token expires once."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[dict[str, str]]()

    async def request(self, method: str, path: str, *, params: dict[str, str], **_: Any) -> Any:
        self.asked.append(params)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*names: str, token: str = "") -> Object:
    return {"items": [{"metadata": {"name": name}} for name in names], "metadata": {"continue": token}}


async def test_a_list_whose_token_expires_begins_anew_in_one_piece() -> None:
    """Nothing is missed; what came before comes twice."""
    session: Any = Pages(page("a", token="t"), Gone("too old", 410), page("a", "b"))
    found = [metadata["name"] async for metadata in each_metadata(session, SECRET, labels="owner=helm")]
    assert found == ["a", "a", "b"]
    assert [(one.get("limit"), one.get("continue")) for one in session.asked] == [
        ("500", None), ("500", "t"), (None, None),
    ]  # fmt: skip
    assert all(one["labelSelector"] == "owner=helm" for one in session.asked)


async def test_a_list_that_fails_is_no_shorter_list() -> None:
    """Half of what is declared would look as if the rest were gone."""
    session: Any = Pages(page("a", token="t"), Unavailable("away", 503))
    with pytest.raises(Unavailable):
        _ = [metadata async for metadata in each_metadata(session, SECRET)]


def test_namespaces_that_are_all_named_are_listed_each() -> None:
    """Rights in these are enough then."""
    assert places(("a", "b", "a")) == ("a", "b")
    assert places(()) == places(("a", "b-*")) == ("",)
    assert chosen((), "x")
    assert chosen(("b-*",), "b-1")
    assert not chosen(("b-*",), "a")


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"annotations": {"helm.sh/resource-policy": "keep"}}, True),
        ({"annotations": {"helm.sh/resource-policy": "delete"}}, False),
        ({"annotations": {"argocd.argoproj.io/sync-options": "Validate=false, Prune=false"}}, True),
        ({"labels": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}, True),
        ({"annotations": None}, False),
        ({}, False),
    ],
)
def test_what_is_marked_to_be_kept_is_kept(metadata: Object, kept: bool) -> None:
    """Helm leaves such an object on purpose when its chart no longer has it."""
    assert is_kept({"metadata": metadata}) is kept
