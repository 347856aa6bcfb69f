"""Which engine gives the verdict, and why, when the API server refuses."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.kube.api.errors import ApiError, Conflict, Forbidden, Invalid, Unavailable
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, ObjectKey, key_of
from services.kube.verdict.judge import PROBE_SUFFIX, judge, probe_of

EDITED = {
    "manager": "kubectl-edit", "operation": "Update", "time": "2026-11-24T11:00:00Z",
    "fieldsV1": {"f:data": {"f:extra": {}}},
}  # fmt: skip


def config(data: dict[str, str], *entries: Any, name: str = "c") -> Object:
    metadata = {
        "name": name,
        "namespace": "n",
        "managedFields": list(entries),
        "creationTimestamp": "2026-11-24T10:00:00Z",
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def declared(obj: Object, *ignore: str) -> Declared:
    packer = Packer()
    return Declared("b", key_of(obj), "v1", packer.pack(obj), packer, ignore, frozenset(), None, "f", 1, "d")


class Answers:
    """A cluster that answers dry-runs with what it is told to."""

    def __init__(self, applied: Object | ApiError | None = None, created: Object | ApiError | None = None) -> None:
        self.applied, self.created = applied, created
        self.asked: list[Object] = []
        self.catalogue = SimpleNamespace(serves=lambda *_: True)

    async def get(self, key: ObjectKey) -> Object | None:
        return None

    async def schema(self, manifest: Object) -> SchemaNode:
        return UNKNOWN

    async def apply(self, manifest: Object, *, dry_run: bool) -> Object:
        return self._answer(self.applied, manifest, dry_run)

    async def create(self, manifest: Object, *, dry_run: bool) -> Object:
        return self._answer(self.created, manifest, dry_run)

    def _answer(self, answer: Object | ApiError | None, manifest: Object, dry_run: bool) -> Object:
        assert dry_run
        self.asked.append(manifest)
        if isinstance(answer, ApiError):
            raise answer
        assert answer is not None, "asked without need"
        return answer


async def verdict(cluster: Answers, desired: Object, live: Object | None, *ignore: str, dry_run: bool = True) -> Any:
    found = await judge(cluster, declared(desired, *ignore), live, dry_run=dry_run)  # type: ignore[arg-type]
    return found.state, [(diff.kind, diff.path) for diff in found.fields], found.engine, found.reason


async def test_what_does_not_differ_is_not_asked() -> None:
    """The common case costs no call."""
    assert await verdict(Answers(), config({"a": "1"}), config({"a": "1"})) == (None, [], "local", None)


async def test_an_absent_object_is_missing() -> None:
    """There is nothing to ask about it."""
    assert await verdict(Answers(), config({"a": "1"}), None) == ("missing", [], "local", None)


async def test_a_difference_is_put_to_the_server() -> None:
    """What the server says of it counts."""
    desired, live = config({"a": "1"}), config({"a": "2"})
    assert await verdict(Answers(desired), desired, live) == ("changed", [("changed", "/data/a")], "dry-run", None)
    assert await verdict(Answers(live), desired, live) == (None, [], "dry-run", None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Forbidden("User cannot patch", 403), "forbidden"),
        (Invalid("spec.x: field is immutable", 422), "immutable"),
        (Invalid("spec.x: Required value", 422), "invalid"),
        (Invalid('admission webhook "a.b" does not support dry run', 400), "dry-run-refused"),
        (Conflict("again", 409), "invalid"),
    ],
)
async def test_a_refusal_leaves_the_local_verdict(error: ApiError, reason: str) -> None:
    """The dry-run is refused where drift is certain; the event says which engine judged, and why."""
    answer = await verdict(Answers(error), config({"a": "1"}), config({"a": "2"}))
    assert answer == ("changed", [("changed", "/data/a")], "local", reason)


async def test_a_server_that_is_away_gives_no_verdict() -> None:
    """It is asked again later, instead of telling something that may not be so."""
    with pytest.raises(Unavailable):
        await verdict(Answers(Unavailable("away", 503)), config({"a": "1"}), config({"a": "2"}))
    with pytest.raises(Unavailable):
        await verdict(Answers(None, Unavailable("away", 503)), config({}), config({"extra": "2"}, EDITED))


async def test_an_addition_is_confirmed_by_a_create_under_another_name() -> None:
    """A default is no addition, whoever owns it."""
    desired, live = config({"a": "1"}), config({"a": "1", "extra": "x"}, EDITED)
    cluster = Answers(None, config({"a": "1"}))
    assert await verdict(cluster, desired, live) == ("changed", [("added", "/data/extra")], "dry-run", None)
    assert cluster.asked[0]["metadata"]["name"] == "c" + PROBE_SUFFIX
    assert (await verdict(Answers(None, config({"extra": "x"})), desired, live))[0] is None


async def test_an_addition_without_rights_is_told_by_the_local_engine() -> None:
    """And says so."""
    live = config({"a": "1", "extra": "x"}, EDITED)
    answer = await verdict(Answers(None, Forbidden("no", 403)), config({"a": "1"}), live)
    assert answer == ("changed", [("added", "/data/extra")], "local", "forbidden")


async def test_without_a_dry_run_nothing_is_asked() -> None:
    """`dry_run=False` is for who must not even try."""
    answer = await verdict(Answers(), config({"a": "1"}), config({"a": "2"}), dry_run=False)
    assert answer == ("changed", [("changed", "/data/a")], "local", None)


async def test_ignored_fields_are_not_sent() -> None:
    """A dry-run, like the apply that it stands for, leaves to others what the baseline leaves to them."""
    cluster = Answers(config({"a": "1"}))
    await verdict(cluster, config({"a": "1", "b": "1"}), config({"a": "2", "b": "2"}), "/data/b")
    assert cluster.asked[0]["data"] == {"a": "1"}


@pytest.mark.parametrize("name", ["web", "a" * 63, "a" * 47 + ".b" * 8, "x" * 47 + "-y"])
def test_a_probes_name_is_a_name(name: str) -> None:
    """However long the object's own is, and wherever it is cut."""
    probe = probe_of(declared(config({}, name=name)))["metadata"]["name"]
    assert probe != name
    assert len(probe) <= 63
    assert ".-" not in probe


def test_a_probe_of_a_service_asks_for_no_port_of_its_own() -> None:
    """An address or node port that the real Service holds would be refused."""
    ports = [{"port": 80, "nodePort": 30000}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
               "spec": {"clusterIP": "10.0.0.1", "type": "NodePort", "ports": ports}}  # fmt: skip
    assert probe_of(declared(service))["spec"] == {"type": "NodePort", "ports": [{"port": 80}]}
