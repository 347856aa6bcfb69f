"""Evictions, drains, cordons and evidence on a real API server: "not now" is no failure, nothing is lost unasked."""

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from schemas.events import EvidenceKept, Reason, Verdict
from schemas.ledger import Place
from services.kube.api.errors import Unavailable
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.evictions import PutOff
from services.reconciler.actions.operations import OPERATIONS
from tests.fakes import eventually
from tests.ground import Ground, ground_of
from tests.operating import done, reference, scene_of, target_of
from tests.watching import Client, client_of, deployment, random_name
from tests.works import cordon, drain, evidence, force_pod, uncordon

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


async def test_a_disruption_budget_puts_an_eviction_off(ground: Ground) -> None:
    """Not now is no failure: the plan waits, and an apply that meets it says the same."""
    work = await force_pod(ground)
    parameters = {"pod": work.parameters["pod"]}
    scene = scene_of(ground.api, "delete-pod", parameters, place=work.place)
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert plan.denial
    assert (plan.denial.reason, plan.denial.verdict) == (Reason.DISRUPTION_BUDGET, Verdict.WAIT)
    assert plan.denial.until
    pod = await ground.api.get(work.place.pod)  # type: ignore[arg-type]
    forced = await OPERATIONS["delete-pod"].plan(scene_of(ground.api, "delete-pod", work.parameters, place=work.place))
    assert forced.denial is None
    with pytest.raises(PutOff) as caught:
        await OPERATIONS["delete-pod"].apply(forced, scene)
    assert caught.value.cause is Reason.DISRUPTION_BUDGET
    assert pod


@pytest.mark.parametrize(("standalone", "reason"), [pytest.param(False, Reason.PARAMETERS, id="not-allowed"),
                                                    pytest.param(True, None, id="allowed")])  # fmt: skip
async def test_a_pod_of_its_own_goes_only_where_that_is_said(
    standalone: bool, reason: Reason | None, ground: Ground
) -> None:
    """Nothing would make it anew."""
    pod = await ground.client.create(lonely(ground.namespace))
    place = Place(pod=target_of(pod))
    scene = scene_of(ground.api, "delete-pod", {"pod": reference(pod), "standalone": standalone}, place=place)
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert (plan.denial and plan.denial.reason) == reason


async def test_a_replacement_is_known_without_a_uid(ground: Ground) -> None:
    """A pod that a policy names itself, of a StatefulSet say, is another one once it is younger than the alert."""
    scene = scene_of(ground.api, "delete-pod", {"pod": f"Pod/{ground.namespace}/lonely", "standalone": True})
    await ground.client.create(lonely(ground.namespace))
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert plan.denial
    assert plan.denial.reason is Reason.TARGET_GONE


def lonely(namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lonely", "namespace": namespace},
        "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}], **spec},
    }  # fmt: skip


async def test_a_person_s_cordon_is_not_taken_back(ground: Ground) -> None:
    """A node that was cordoned already needs nothing, and an undo of that nothing is none."""
    work = await uncordon(ground)
    scene = scene_of(ground.api, "cordon", work.parameters, place=work.place)
    plan = await OPERATIONS["cordon"].plan(scene)
    assert (plan.so, plan.ours) == (True, False)
    assert await OPERATIONS["cordon"].undo(plan.before, scene) is None
    assert work.about
    assert (await ground.live(work.about))["spec"]["unschedulable"]


async def test_a_drain_waits_for_a_budget_and_says_so(ground: Ground) -> None:
    """Refused evictions are asked for again; at the end it is later, the node stays cordoned, the next run goes on."""
    work = await drain(ground)
    await ground.forbid_evictions()
    parameters = {**work.parameters, "timeout": "4s"}
    scene = scene_of(ground.api, "drain", parameters, place=work.place)
    plan = await OPERATIONS["drain"].plan(scene)
    assert len(plan.touches) == 3
    with pytest.raises(PutOff) as caught:
        await OPERATIONS["drain"].apply(plan, scene)
    assert caught.value.cause is Reason.DISRUPTION_BUDGET
    assert work.about
    assert (await ground.live(work.about))["spec"]["unschedulable"]
    await ground.client.delete(ground.budget())
    unhurried = {**work.parameters, "timeout": "2m"}
    later = scene_of(ground.api, "drain", unhurried, place=work.place, id="a2")
    resumed, _ = await done("drain", later)
    assert await OPERATIONS["drain"].undo(resumed.before, later) is None
    assert not (await ground.live(work.about))["spec"].get("unschedulable")


@pytest.mark.parametrize(("pod", "parameters", "denied"), [
    pytest.param({"volumes": [{"name": "tmp", "emptyDir": {}}]}, {}, True, id="empty-dir"),
    pytest.param({"volumes": [{"name": "tmp", "emptyDir": {}}]}, {"deleteEmptyDir": True}, False, id="given-up"),
])  # fmt: skip
async def test_a_drain_loses_no_volume_unasked(
    pod: dict[str, Any], parameters: dict[str, Any], denied: bool, ground: Ground
) -> None:
    """The emptyDir of a pod is lost with it."""
    work = await cordon(ground)
    assert work.about
    await ground.workload(ground.on(work.about, deployment(ground.namespace), **pod))
    scene = scene_of(ground.api, "drain", {**work.parameters, **parameters}, place=work.place)
    plan = await OPERATIONS["drain"].plan(scene)
    assert (plan.denial is not None and plan.denial.reason is Reason.HOLDS_DATA) is denied


DENIED = "The pod will be rolled by the Strimzi Cluster Operator"


@asynccontextmanager
async def drain_cleaner(ground: Ground, plane: LocalControlPlane) -> AsyncIterator[list[Object]]:
    """A webhook that answers evictions as Strimzi's Drain Cleaner does; what it was asked."""
    asked: list[Object] = []

    async def answer(request: web.Request) -> web.Response:
        review = orjson.loads(await request.read())
        asked.append(review["request"])
        response = {"uid": review["request"]["uid"], "allowed": False, "status": {"code": 500, "message": DENIED}}
        return web.Response(body=orjson.dumps({**review, "response": response}), content_type="application/json")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.ca_file, plane.ca_file.with_suffix(".key"))
    app = web.Application()
    app.router.add_post("/drainer", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    authority = base64.b64encode(plane.ca_file.read_bytes()).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]}
    webhook = {
        "name": "cleaner.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun",
        "rules": [rule], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ground.namespace}},
        "clientConfig": {"url": f"https://127.0.0.1:{runner.addresses[0][1]}/drainer", "caBundle": authority},
    }  # fmt: skip
    made = await ground.client.create({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": random_name("cleaner")}, "webhooks": [webhook],
    })  # fmt: skip
    try:
        yield asked
    finally:
        await ground.client.delete(made)
        await runner.cleanup()


@pytest.mark.parametrize("action", ["delete-pod", "drain"])
async def test_a_pod_of_strimzi_is_later_and_no_failure(
    action: str, ground: Ground, control_plane: LocalControlPlane
) -> None:
    """Its Drain Cleaner refuses the eviction and has the operator roll the pod; a dry-run would not tell it to."""
    node = await ground.node()
    obj = ground.on(node, deployment(ground.namespace, replicas=1))
    obj["spec"]["template"]["metadata"]["labels"] |= {"strimzi.io/cluster": "events", "strimzi.io/kind": "Kafka"}
    await ground.workload(obj)
    pod = (await ground.pods())[0]
    parameters = {"node": reference(node), "timeout": "3s"} if action == "drain" else {"pod": reference(pod)}
    async with drain_cleaner(ground, control_plane) as asked:
        scene = scene_of(ground.api, action, parameters, place=Place(pod=target_of(pod), node=target_of(node)))

        async def refused() -> bool:  # until the API server has heard of the webhook, evictions would pass
            with suppress(Unavailable):
                await ground.api.evict(target_of(pod), uid=pod["metadata"]["uid"], dry_run=True)
            return bool(asked)

        await eventually(refused, what="the webhook is called")
        before = len(asked)
        plan = await OPERATIONS[action].plan(scene)
        assert plan.denial is None
        assert len(asked) == before
        with pytest.raises(PutOff) as caught:
            await OPERATIONS[action].apply(plan, scene)
        assert (caught.value.cause, caught.value.denial.verdict) == (Reason.LATER, Verdict.WAIT)
        assert [one["dryRun"] for one in asked[before:]][:1] == [False]
    assert [one["metadata"]["uid"] for one in await ground.pods()] == [pod["metadata"]["uid"]]


async def _is_scheduled(ground: Ground, pod: Object) -> bool:
    found = await ground.api.list("", "Event", ground.namespace)
    return any(
        one["reason"] == "Scheduled" and one["involvedObject"].get("uid") == pod["metadata"]["uid"] for one in found
    )


async def test_evidence_is_kept_without_any_log(ground: Ground) -> None:
    """Nodes without machines have no logs: that is a fact with the server's words, beside the object and its Events."""
    work = await evidence(ground)
    scene = scene_of(ground.api, "evidence", work.parameters, place=work.place)
    assert work.about
    await eventually(partial(_is_scheduled, ground, work.about), what="the scheduler has told of it, as it does later")
    _, applied = await done("evidence", scene)
    kept = [fact for fact in applied.facts if isinstance(fact, EvidenceKept)]
    assert [(one.what, one.name) for one in kept] == [("object", ""), ("events", ""), ("log", "web")]
    assert all(one.target.uid == work.place.pod.uid for one in kept if work.place.pod)
    assert '"image": "example.org/web:1"' in kept[0].text
    assert "Scheduled" in kept[1].text
    assert kept[2].text.startswith("[not to be had: ")
