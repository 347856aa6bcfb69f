"""Which shares of ownership people's tools lose, and what stays theirs."""

from typing import Any

import pytest

from services.kube.api.errors import ApiError, Conflict, Forbidden, Invalid, Unavailable
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.correction.reclaim import LOOKS, reclaim, reclaimed
from services.kube.objects import Object, ObjectKey, managed_fields
from services.kube.pointer import parse_ignore
from tests.properties.cases import declare

NOBODY: frozenset[str] = frozenset()


def entry(manager: str, fields: Any, operation: str = "Update", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": fields, **more}  # fmt: skip


def live_of(*entries: Any) -> Object:
    spec = {"a": 1, "b": 2, "map": {"x": 1, "y": 2}, "list": [{"name": "one", "v": 1, "default": 0}]}
    return {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "t", "managedFields": list(entries)},
        "spec": spec,
    }


ITEM = 'k:{"name":"one"}'
LIST: dict[str, Any] = {"f:list": {ITEM: {".": {}, "f:name": {}, "f:v": {}}}}
OURS = entry("setpoint", {"f:spec": {"f:a": {}, "f:map": {"f:x": {}}, **LIST}}, "Apply")


@pytest.mark.parametrize(
    ("theirs", "left"),
    [
        pytest.param({"f:spec": {"f:a": {}}}, None, id="only what is ours"),
        pytest.param({"f:spec": {"f:a": {}, "f:b": {}}}, {"f:spec": {"f:b": {}}}, id="and something else"),
        pytest.param({"f:spec": {".": {}, "f:map": {".": {}, "f:x": {}}}}, None, id="the maps around it"),
        pytest.param({"f:spec": {"f:map": {"f:y": {}}}}, {"f:spec": {"f:map": {"f:y": {}}}}, id="another key of a map"),
        pytest.param({"f:spec": {"f:map": {}}}, {"f:spec": {"f:map": {}}}, id="a map as a whole"),
        pytest.param({"f:spec": {"f:a": {"f:deep": {}}}}, {"f:spec": {"f:a": {"f:deep": {}}}}, id="inside our leaf"),
        pytest.param({"f:spec": {"f:list": {ITEM: {".": {}, "f:v": {}, "f:default": {}}}}}, None,
                     id="an item of ours with its defaults"),
        pytest.param({"f:spec": {"f:list": {'k:{"name":"two"}': {".": {}}}}},
                     {"f:spec": {"f:list": {'k:{"name":"two"}': {".": {}}}}}, id="an item of their own"),
    ],
)  # fmt: skip
def test_what_is_shared_is_given_up(theirs: Any, left: Any) -> None:
    """And nothing more; an entry that would be empty goes."""
    made = reclaimed(live_of(OURS, entry("kubectl-edit", theirs)), NOBODY)
    expected = [OURS, *([entry("kubectl-edit", left)] if left else [])]
    assert made == (expected if left != theirs else None)


@pytest.mark.parametrize(
    ("other", "trusted", "gives_up"),
    [
        pytest.param(entry("kubectl-edit", OURS["fieldsV1"]), NOBODY, True, id="a person's tool"),
        pytest.param(entry("kubectl", OURS["fieldsV1"], "Apply"), NOBODY, True, id="a person's apply"),
        pytest.param(entry("setpoint", OURS["fieldsV1"]), NOBODY, True, id="our own plain update"),
        pytest.param(entry("kubectl-edit", OURS["fieldsV1"]), frozenset({"kubectl-*"}), False, id="a trusted one"),
        pytest.param(entry("deployer", OURS["fieldsV1"], "Apply"), NOBODY, False, id="no person"),
        pytest.param(entry("kubectl-scale", OURS["fieldsV1"], subresource="scale"), NOBODY, False, id="a subresource"),
        pytest.param({**entry("kubectl-edit", OURS["fieldsV1"]), "apiVersion": "v1beta1"}, NOBODY, False,
                     id="fields of another version"),
    ],
)  # fmt: skip
def test_who_gives_up(other: Any, trusted: frozenset[str], gives_up: bool) -> None:
    """Tools that somebody sits in front of, unless the baseline trusts them."""
    assert (reclaimed(live_of(OURS, other), trusted) == [OURS]) is gives_up


def test_what_is_left_to_others_stays_theirs() -> None:
    """Below a rule's path nothing is taken, also where Setpoint holds the live value there."""
    theirs = {"f:spec": {"f:a": {}, "f:map": {"f:x": {}}, "f:list": {ITEM: {".": {}, "f:v": {}}}}}
    made = reclaimed(live_of(OURS, entry("k9s", theirs)), NOBODY, parse_ignore(["/spec/map/x", "/spec/list/*/v"]))
    assert made == [OURS, entry("k9s", {"f:spec": {"f:map": {"f:x": {}}, "f:list": {ITEM: {"f:v": {}}}}})]


def test_without_an_apply_of_ours_nothing_is_taken() -> None:
    """Then nothing shows that a field is declared."""
    assert reclaimed(live_of(entry("kubectl-edit", OURS["fieldsV1"])), NOBODY) is None


class Busy:
    """A cluster in which somebody writes before each of the first patches."""

    def __init__(self, live: Object, writes: int, error: ApiError) -> None:
        self.live, self.writes, self.error = live, writes, error
        self.patches: list[Any] = []
        self.creates = 0

    async def get(self, key: ObjectKey, version: str) -> Object | None:
        self.live = {**self.live, "metadata": {**self.live["metadata"], "resourceVersion": str(len(self.patches))}}
        return self.live

    async def schema(self, manifest: Object) -> SchemaNode:
        return UNKNOWN

    async def create(self, manifest: Object, *, dry_run: bool) -> Object:
        assert dry_run
        self.creates += 1
        return manifest

    async def json_patch(self, key: ObjectKey, version: str, operations: list[Any]) -> Object:
        self.patches.append(operations)
        if len(self.patches) <= self.writes:
            raise self.error
        return {**self.live, "metadata": {**self.live["metadata"], "managedFields": operations[1]["value"]}}


async def at_once(_: float) -> None:
    """A wait that is none."""


def shared() -> Object:
    live = live_of(OURS, entry("kubectl-edit", OURS["fieldsV1"]))
    live["metadata"]["resourceVersion"] = "0"
    return live


@pytest.mark.parametrize(
    ("error", "writes", "patches", "taken"),
    [
        pytest.param(Conflict("newer"), 0, 1, True, id="at once"),
        pytest.param(Conflict("newer"), 3, 4, True, id="after others have written"),
        pytest.param(Conflict("newer"), 99, LOOKS, False, id="others keep writing"),
        pytest.param(Invalid("a webhook", 403), 99, 1, False, id="refused"),
        pytest.param(Forbidden("no right", 403), 99, 1, False, id="not allowed"),
    ],
)
async def test_the_correction_stands_whether_or_not_the_share_is_taken(
    error: ApiError, writes: int, patches: int, taken: bool
) -> None:
    """Each patch is for the version that was looked at; in the end the object is returned as it is."""
    cluster = Busy(shared(), writes, error)
    stored = await reclaim(cluster, declare(shared()), shared(), (), at_once)  # type: ignore[arg-type]
    assert (stored["metadata"]["managedFields"] == [OURS]) is taken
    assert [one[0]["value"] for one in cluster.patches] == [str(number) for number in range(patches)]


async def test_a_server_that_is_away_is_no_end() -> None:
    """Whether it was done is unknown then, and the action says so."""
    with pytest.raises(Unavailable):
        await reclaim(Busy(shared(), 9, Unavailable("away")), declare(shared()), shared(), ())  # type: ignore[arg-type]


class Reporting(Busy):
    """A cluster whose controllers report before each patch; `more` is what somebody else writes before the third."""

    def __init__(self, live: Object, writes: int, more: dict[str, Any]) -> None:
        super().__init__(live, writes, Conflict("newer"))
        self.more = more

    async def get(self, key: ObjectKey, version: str) -> Object | None:
        live = await super().get(key, version)
        assert live
        report = entry("kube-controller-manager", {"f:status": {}}, subresource="status", time=str(len(self.patches)))
        fields = [one for one in managed_fields(live) if not one.get("subresource")]
        self.live = {
            **live,
            "metadata": {**live["metadata"], "managedFields": [*fields, report]},
            "status": {"replicas": len(self.patches)},
            **(self.more if len(self.patches) > 1 else {}),
        }
        return self.live

    async def schema(self, manifest: Object) -> SchemaNode:
        items = SchemaNode(fields={name: SchemaNode() for name in ("name", "v", "default")})
        listed = SchemaNode(items=items, list_type="map", keys=("name",))
        return SchemaNode(fields={"spec": SchemaNode(fields={"list": listed})})


@pytest.mark.parametrize(
    ("more", "creates"),
    [
        pytest.param({}, 1, id="status alone"),
        pytest.param({"spec": {**live_of()["spec"], "b": 3}}, 2, id="and the object"),
    ],
)
async def test_the_server_is_asked_again_only_about_another_object(more: dict[str, Any], creates: int) -> None:
    """A question takes longer than the time between two reports of a rollout: no patch would fit between."""
    theirs = entry("kubectl-create", {"f:spec": {"f:a": {}, "f:list": {ITEM: {".": {}, "f:v": {}, "f:default": {}}}}})
    live = live_of(OURS, theirs)
    live["metadata"]["resourceVersion"] = "0"
    declared = live_of()
    del declared["spec"]["list"][0]["default"]
    cluster = Reporting(live, 6, more)
    stored = await reclaim(cluster, declare(declared), live, (), at_once)  # type: ignore[arg-type]
    assert (cluster.creates, len(cluster.patches)) == (creates, 7)
    assert [one["manager"] for one in managed_fields(stored)] != []
