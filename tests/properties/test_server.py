"""The same properties on a real API server, over all kinds: who did what is done by real writes of real managers."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.kube.api.errors import Conflict, Invalid
from services.kube.comparison.applying import appliable
from services.kube.comparison.diff import predicted_diff
from services.kube.correction.revert import put_back
from services.kube.objects import Object, metadata_of
from services.kube.verdict.judge import judge, less_followers
from services.local.controlplane import LocalControlPlane
from tests.kinds import until_usable
from tests.properties.cases import CONTROLLER, DEPLOYER, PERSON, declare, told
from tests.properties.edits import Edit, done, expected, pointer, shuffled, some_edits
from tests.properties.schemas import widget_definition
from tests.strategies import GROUP, KINDS
from tests.watching import MERGE, Client, client_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
ALL = frozenset({"changed", "removed", "added"})
EXAMPLES = settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None,
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    """The administrator, with the kind `Widget` served."""
    async with client_of(control_plane) as opened:
        await opened.create(widget_definition())
        await until_usable(opened, GROUP, "v1", "Widget", schema=True)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def namespace(client: Client) -> str:
    return await client.namespace()


async def written(client: Client, obj: Object, manager: str, edit: Callable[[Object], Object]) -> Object:
    """A read and a plain update, again where a controller came in between. Raises Invalid where it is refused."""
    for _ in range(100):
        live = await client.get(obj)
        assert live
        try:
            return await client.cluster.replace(edit(live), manager=manager)
        except Conflict:
            await asyncio.sleep(0.02)
    raise AssertionError("others keep writing")


async def both(client: Client, obj: Object, live: Object) -> Any:
    """What both engines say, which must be the same for an object that is older than a second."""
    declared = declare(obj)
    live = {**live, "metadata": {**live["metadata"], "creationTimestamp": "2020-01-01T00:00:00Z"}}
    server = await judge(client.cluster, declared, live)
    local = await judge(client.cluster, declared, live, dry_run=False)
    assert server.engine == "dry-run" or server.state is None, (server, obj)
    assert (told(local), local.state) == (told(server), server.state), (local, server, obj)
    schema = await client.cluster.schema(obj)
    predicted = await client.cluster.apply(appliable(obj, live, local.left, schema), dry_run=True)
    # Also where the judge had no need to ask.
    asked = less_followers(predicted_diff(predicted, live, schema, obj, local.left), live, obj)
    assert {(diff.kind, diff.path) for diff in asked} <= set(told(local)), (asked, local, obj)
    return server


async def each(cases: list[Awaitable[bool]]) -> None:
    """All at once; most of them must have been possible."""
    possible = await asyncio.gather(*cases)
    assert sum(possible) * 2 >= len(possible)


class Case(NamedTuple):
    """What is declared and what somebody does to it."""

    obj: Object
    edits: tuple[Edit, ...]
    order: random.Random


async def drawn(client: Client, namespace: str, data: st.DataObject, kinds: frozenset[str]) -> list[Case]:
    """A case of each kind, declared but not made yet."""
    cases = []
    for kind in KINDS:
        obj = data.draw(kind.objects)
        obj["metadata"] = {**obj["metadata"], "name": f"o{next(NUMBERS)}", "namespace": namespace}
        edits = data.draw(some_edits(obj, await client.cluster.schema(obj), kind, kinds))
        cases.append(Case(obj, edits, random.Random(data.draw(st.integers(0, 2**32)))))
    return cases


@EXAMPLES
@given(data=st.data())
async def test_what_a_person_did_is_drift_on_exactly_those_fields(
    client: Client, namespace: str, data: st.DataObject
) -> None:
    """Both engines, all kinds."""

    async def one(obj: Object, edits: tuple[Edit, ...], order: random.Random) -> bool:
        await client.apply(obj, DEPLOYER)
        try:
            live = await written(client, obj, PERSON, lambda live: done(live, edits))
        except Invalid:
            return False
        assert told(await both(client, obj, live)) == expected(edits, live, obj), (edits, obj)
        return True

    cases = await drawn(client, namespace, data, ALL)
    await each([one(*case) for case in cases])


@EXAMPLES
@given(data=st.data())
async def test_what_a_trusted_controller_did_is_no_drift(client: Client, namespace: str, data: st.DataObject) -> None:
    """What it changed is left to it, what it added is no addition."""

    async def one(obj: Object, edits: tuple[Edit, ...], order: random.Random) -> bool:
        await client.apply(obj, DEPLOYER)
        try:
            live = await written(client, obj, CONTROLLER, lambda live: done(live, edits))
        except Invalid:
            return False
        finding = await both(client, obj, live)
        assert (finding.state, told(finding)) == (None, []), (edits, obj)
        assert set(finding.left) == {pointer(edit.steps, live, obj) for edit in edits if edit.kind == "changed"}
        return True

    cases = await drawn(client, namespace, data, frozenset({"changed", "added"}))
    await each([one(*case) for case in cases])


@EXAMPLES
@given(data=st.data())
async def test_another_order_and_another_spelling_are_no_drift(
    client: Client, namespace: str, data: st.DataObject
) -> None:
    """Also where they are a person's."""

    async def one(obj: Object, edits: tuple[Edit, ...], order: random.Random) -> bool:
        await client.apply(obj, DEPLOYER)
        schema = await client.cluster.schema(obj)

        def edited(live: Object) -> Object:
            fresh = done(live, edits)
            turned = {name: value for name, value in fresh.items() if name not in ("status", "metadata")}
            return {**fresh, **shuffled(turned, schema, order)}

        finding = await both(client, obj, await written(client, obj, PERSON, edited))
        assert (finding.state, told(finding)) == (None, []), (edits, obj)
        return True

    cases = await drawn(client, namespace, data, frozenset({"same"}))
    await each([one(*case) for case in cases])


@EXAMPLES
@given(data=st.data())
async def test_corrected_is_in_sync_and_a_second_time_writes_nothing(
    client: Client, namespace: str, data: st.DataObject
) -> None:
    """A person's edits and another order; the controller's changes beside them stay."""

    async def one(obj: Object, edits: tuple[Edit, ...], order: random.Random) -> bool:
        await client.apply(obj, DEPLOYER)
        schema = await client.cluster.schema(obj)

        def edited(live: Object) -> Object:
            fresh = done(live, edits)
            return {**fresh, **shuffled({"spec": fresh["spec"]}, schema, order)} if "spec" in fresh else fresh

        try:
            live = await written(client, obj, PERSON, edited)
        except Invalid:
            return False
        declared = declare(obj)
        await put_back(client.cluster, declared, live, await both(client, obj, live))
        stored = await client.get(obj)
        assert stored
        finding = await both(client, obj, stored)
        assert (finding.state, told(finding)) == (None, []), (edits, obj)
        await put_back(client.cluster, declared, stored, finding)
        again = await client.get(obj)
        assert again
        assert metadata_of(again).get("generation") == metadata_of(stored).get("generation")
        bare = [
            {name: value for name, value in one.items() if name in ("spec", "data", "rules")} for one in (stored, again)
        ]
        assert bare[0] == bare[1]
        return True

    cases = await drawn(client, namespace, data, ALL)
    await each([one(*case) for case in cases])


ODD_TEXTS = {
    f"u{ord(character):x}": f"a{character}b {character}\n"
    for character in "\x00\x07\x1b\t\r\n\x7f\x80\x85\x9f\xa0\xad\u2028\u2029\ufeff\ufffd\ufffe\uffff\u202e😀\U0001fffe"
}


async def test_any_text_survives_its_correction(client: Client, namespace: str) -> None:
    """Separators and control characters that YAML takes for line breaks or for errors; and keys of any length."""
    metadata = {"name": f"o{next(NUMBERS)}", "namespace": namespace}
    text: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": ODD_TEXTS}
    keys = {f"{value}{'k' * 1100}": value for value in ODD_TEXTS.values()}
    odd: Object = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": metadata, "spec": {"table": keys}}
    for obj, part, values in ((text, "data", ODD_TEXTS), (odd, "spec", {"table": keys})):
        live = await client.create(obj)
        assert live[part] == values
        assert (await both(client, obj, live)).state is None
        live = await client.patch(obj, {part: {"table": {"x": "y"}} if part == "spec" else {"x": "y"}})
        stored = await put_back(client.cluster, declare(obj), live, await both(client, obj, live))
        assert stored[part] == values
        assert (await client.apply(obj))[part] == values


async def test_an_annotation_set_through_the_status_is_an_addition(client: Client, namespace: str) -> None:
    """The status subresource of a built-in kind takes annotations as well."""
    metadata = {"name": f"o{next(NUMBERS)}", "namespace": namespace}
    obj: Object = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
        "spec": {"maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}},
    }  # fmt: skip
    await client.apply(obj)
    path = client.path(obj) + "/status"
    body = {"metadata": {"annotations": {"by": "hand"}}}
    live = await client.cluster.session.request(
        "PATCH", path, params={"fieldManager": PERSON}, body=body, content_type=MERGE
    )
    assert live["metadata"]["annotations"] == {"by": "hand"}
    assert told(await both(client, obj, live)) == [("added", "/metadata/annotations/by")]


POD: Object = {"containers": [{"name": "a", "image": "example.org/a:1"}]}
PORTS: Object = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
FILLED_IN = [
    pytest.param("v1", "Service", PORTS, id="service"),
    pytest.param("v1", "Service", {**PORTS, "type": "NodePort"}, id="node-port"),
    pytest.param("batch/v1", "Job", {"template": {"spec": {**POD, "restartPolicy": "Never"}}}, id="job"),
    pytest.param("v1", "Pod", POD, id="pod"),
    pytest.param(
        "apps/v1", "Deployment",
        {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}},
        id="deployment",
    ),
]  # fmt: skip


@pytest.mark.parametrize("then_applied", [pytest.param(False, id="wiped"), pytest.param(True, id="wiped-and-applied")])
@pytest.mark.parametrize(("version", "kind", "spec"), FILLED_IN)
async def test_wiped_traces_hide_nothing_and_invent_nothing(
    client: Client, namespace: str, version: str, kind: str, spec: Object, then_applied: bool
) -> None:
    """Of what nobody is noted to have written, a person's addition is told and what the server filled in is not.

    The apply that follows a wipe calls all of it the state before it, which is no more of a proof.
    """
    metadata = {"name": f"o{next(NUMBERS)}", "namespace": namespace}
    obj: Object = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    await client.apply(obj)
    wipe = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    live = await client.patch(obj, wipe, content="application/json-patch+json")
    if then_applied:
        live = await client.apply(obj)
    assert told(await both(client, obj, live)) == []
    await client.patch(obj, {"metadata": {"labels": {"by": "hand"}}})
    live = await client.patch(obj, wipe, content="application/json-patch+json")
    if then_applied:
        live = await client.apply(obj)
    assert told(await both(client, obj, live)) == [("added", "/metadata/labels/by")]
