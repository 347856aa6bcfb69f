"""From an alert to its action and back, on a real broker and a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from schemas.alerts import AlertFired
from schemas.approvals import AnswerKind, ApprovalClosed, ApprovalEnd, ApprovalRefused, ApprovalRequested
from schemas.events import ActionFinished, ActionStarted, DecisionMade, Outcome, Reason, Verdict
from schemas.policy import Policy
from schemas.target import Target
from services.kube.objects import Object, ObjectKey
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.operation import MARK
from tests.alerting import MovedClock
from tests.fakes import eventually
from tests.reacting import Reacting, policy, reacting
from tests.watching import MERGE, Client

pytestmark = pytest.mark.integration
NETWORK = "networking.k8s.io"


class Shop:
    """A namespace with a Deployment of two pods, and the reconciler that is told of trouble there."""

    def __init__(self, reacting: Reacting, namespace: str) -> None:
        self.reacting, self.namespace = reacting, namespace
        self.client = Client(reacting.cluster)

    async def deploy(self, name: str = "web") -> Object:
        made = await self.client.create(_deployment(self.namespace, name))
        await eventually(lambda: self._ready(name), 120, f"{name} is up")
        return made

    async def live(self, name: str = "web", kind: str = "Deployment") -> Object:
        found = await self.reacting.cluster.get(ObjectKey("apps", kind, self.namespace, name))
        assert found is not None
        return found

    async def pods(self, name: str = "web") -> list[Object]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        answer = await self.reacting.cluster.session.request("GET", path, params={"labelSelector": f"app={name}"})
        return [one for one in answer["items"] if "deletionTimestamp" not in one["metadata"]]

    async def policies(self) -> list[Object]:
        path = f"/apis/{NETWORK}/v1/namespaces/{self.namespace}/networkpolicies"
        answer = await self.reacting.cluster.session.request("GET", path)
        return list(answer["items"])

    def target(self, name: str = "web", kind: str = "Deployment", group: str = "apps") -> Target:
        return Target(
            cluster=self.reacting.name, group=group, kind=kind, namespace=self.namespace, name=name
        )  # fmt: skip

    def alert(self, name: str = "web", **more: Any) -> AlertFired:
        return self.reacting.alert(self.target(name), **more)

    async def stamps(self, name: str = "web") -> dict[str, str]:
        """The pod template's annotations."""
        template = (await self.live(name))["spec"]["template"]
        return dict(template["metadata"].get("annotations") or {})

    async def _ready(self, name: str) -> bool:
        return bool((await self.live(name)).get("status", {}).get("availableReplicas") == 2)


@asynccontextmanager
async def shop(
    broker: LocalBroker, plane: LocalControlPlane, *policies: Policy, running: bool = True
) -> AsyncIterator[Shop]:
    """With `web` in it."""
    async with reacting(broker, plane, *policies) as one:
        here = Shop(one, await Client(one.cluster).namespace())
        await here.deploy()
        if not running:
            yield here
            return
        async with one.running():
            yield here


def _deployment(namespace: str, name: str) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
            },
        },
    }  # fmt: skip


ASKED: dict[str, Any] = {"approve": {"by": ["ann", "bob"], "timeout": "10m"}}
RESTART: list[dict[str, Any]] = [{"restart": {}, "verify": {"within": "3m"}}]


async def test_an_alert_restarts_its_workload_once(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Fired twenty times: one decision, one start, one verified end, all of one correlation."""
    async with shop(broker, control_plane, policy("restart", RESTART, limits={"oncePer": "1h"})) as here:
        alert = here.alert()
        await here.reacting.tell(*[alert] * 20)
        (finished,) = await here.reacting.until(ActionFinished)
        await here.reacting.resolve(alert)
        said = await here.reacting.said()
        assert [type(event.data) for event in said] == [DecisionMade, ActionStarted, ActionFinished]
        assert {event.correlationid for event in said} == {alert.alert_id}
        assert (finished.outcome, finished.reason, finished.action) == (
            Outcome.SUCCEEDED, Reason.VERIFIED, "restart",
        )  # fmt: skip
        assert (await here.stamps())[MARK] == finished.action_id
        assert (await here.live())["metadata"]["generation"] == 2


async def test_a_pods_alert_reaches_its_workload(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """The alert names a pod; what is restarted is the Deployment behind its ReplicaSet."""
    async with shop(broker, control_plane, policy("restart", RESTART)) as here:
        pod = (await here.pods())[0]["metadata"]
        alert = here.reacting.alert(here.target(pod["name"], "Pod", ""), labels={"uid": pod["uid"]}, lasting=False)
        await here.reacting.tell(alert)
        (finished,) = await here.reacting.until(ActionFinished)
        assert finished.subject is not None
        assert (finished.subject.kind, finished.subject.name, finished.target.kind) == ("Deployment", "web", "Pod")
        assert await here.stamps()


async def test_a_pod_that_is_gone_is_not_acted_on(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """No guess at another one of the same name's beginning: a reason."""
    async with shop(broker, control_plane, policy("restart", RESTART)) as here:
        await here.reacting.tell(here.reacting.alert(here.target("web-gone", "Pod", "")))
        (decided,) = await here.reacting.until(DecisionMade)
        assert (decided.verdict, decided.reason) == (Verdict.DENY, Reason.TARGET_GONE)
        assert not await here.stamps()


async def test_an_isolation_ends_by_itself(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Cut off at once, and let in again when its time is over, also if the reconciler was down meanwhile."""
    rule, clock = policy("isolate", [{"isolate": {"for": "1h"}}]), MovedClock()
    async with shop(broker, control_plane, rule, running=False) as here:
        here.reacting.clock = clock
        pod = (await here.pods())[0]["metadata"]
        alert = here.reacting.alert(here.target(pod["name"], "Pod", ""), lasting=False)
        async with here.reacting.running():
            await here.reacting.tell(alert)
            (cut,) = await here.reacting.until(ActionFinished)
            assert (cut.outcome, cut.undoes) == (Outcome.SUCCEEDED, None)
            assert len(await here.policies()) == 1
        clock.move(minutes=61)
        async with here.reacting.running():
            lifted = (await here.reacting.until(ActionFinished, 2))[-1]
            assert (lifted.outcome, lifted.reason, lifted.undoes) == (
                Outcome.SUCCEEDED, Reason.LIFTED, cut.action_id,
            )  # fmt: skip
            assert await here.policies() == []


async def test_what_is_approved_is_done_once(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """The question shows the plan; the answer counts once, and nothing is written before it."""
    async with shop(broker, control_plane, policy("restart", RESTART, **ASKED)) as here:
        await here.reacting.tell(here.alert())
        (asked,) = await here.reacting.until(ApprovalRequested)
        assert "/spec/template/metadata/annotations" in asked.plan
        assert not await here.stamps()
        await here.reacting.answer(asked, AnswerKind.APPROVE, by="eve")
        (refused,) = await here.reacting.until(ApprovalRefused)
        assert refused.by == "eve"
        await here.reacting.answer(asked, AnswerKind.APPROVE, by="ann")
        (finished,) = await here.reacting.until(ActionFinished)
        assert (finished.outcome, finished.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
        await here.reacting.answer(asked, AnswerKind.APPROVE, by="bob")
        await here.reacting.until(ApprovalRefused, 2)
        (closed,) = await here.reacting.all_of(ApprovalClosed)
        assert (closed.outcome, closed.by) == (ApprovalEnd.APPROVED, ("ann",))
        assert len(await here.reacting.all_of(ActionStarted)) == 1


async def test_a_question_survives_a_restart(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Asked by one process, answered while there was none, carried out by the next."""
    rule = policy("restart", RESTART, **ASKED)
    async with shop(broker, control_plane, rule, running=False) as here:
        async with here.reacting.running():
            await here.reacting.tell(here.alert())
            (asked,) = await here.reacting.until(ApprovalRequested)
        await here.reacting.answer(asked, AnswerKind.APPROVE)
        async with here.reacting.running():
            (finished,) = await here.reacting.until(ActionFinished)
        assert finished.outcome is Outcome.SUCCEEDED
        assert len(await here.reacting.all_of(ApprovalRequested)) == 1


async def test_a_changed_plan_is_asked_about_again(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Approved was another change than the one that would be made now."""
    steps = [{"scale": {"by": 1}, "verify": {"within": "3m"}}]
    async with shop(broker, control_plane, policy("scale", steps, **ASKED)) as here:
        await here.reacting.tell(here.alert())
        (first,) = await here.reacting.until(ApprovalRequested)
        await here.client.patch(await here.live(), {"spec": {"replicas": 4}}, content=MERGE)
        await here.reacting.answer(first, AnswerKind.APPROVE)
        second = (await here.reacting.until(ApprovalRequested, 2))[-1]
        assert second.plan_hash != first.plan_hash
        assert (await here.live())["spec"]["replicas"] == 4
        await here.reacting.answer(second, AnswerKind.APPROVE)
        done = [one for one in await here.reacting.until(ActionFinished, 2) if one.outcome is Outcome.SUCCEEDED]
        assert len(done) == 1
        assert (await here.live())["spec"]["replicas"] == 5


async def test_a_no_is_a_no(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Nothing is written, and nobody is asked again while the alert lives."""
    async with shop(broker, control_plane, policy("restart", RESTART, **ASKED)) as here:
        alert = here.alert()
        await here.reacting.tell(alert)
        (asked,) = await here.reacting.until(ApprovalRequested)
        await here.reacting.answer(asked, AnswerKind.DENY)
        await here.reacting.until(ApprovalClosed)
        await here.reacting.tell(alert)
        decided = (await here.reacting.until(DecisionMade, 2))[-1]
        assert (decided.verdict, decided.reason) == (Verdict.DENY, Reason.DENIED)
        assert not await here.stamps()
        assert len(await here.reacting.all_of(ApprovalRequested)) == 1


async def test_what_does_not_help_is_undone(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """The alert goes on after the time that its end was waited for: the replicas are as before."""
    steps = [{"scale": {"replicas": 3}, "verify": {"within": "2s", "until": ["alertResolved"]}, "undo": "auto"}]
    async with shop(broker, control_plane, policy("scale", steps, limits={"ineffective": 1})) as here:
        await here.reacting.tell(here.alert())
        (finished,) = await here.reacting.until(ActionFinished)
        assert (finished.outcome, finished.reason) == (Outcome.UNDONE, Reason.NOT_VERIFIED)
        assert (await here.live())["spec"]["replicas"] == 2


async def test_the_alerts_end_ends_the_waiting(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """It helped: the scale stays, and nothing is done again."""
    steps = [{"scale": {"replicas": 3}, "verify": {"within": "5m", "until": ["alertResolved"]}, "undo": "auto"}]
    async with shop(broker, control_plane, policy("scale", steps)) as here:
        alert = here.alert()
        await here.reacting.tell(alert)
        await eventually(lambda: _scaled(here, 3), what="scaled")
        await here.reacting.resolve(alert)
        (finished,) = await here.reacting.until(ActionFinished)
        assert (finished.outcome, finished.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
        assert await _scaled(here, 3)


async def test_who_hangs_delays_nobody_else(broker: LocalBroker, control_plane: LocalControlPlane) -> None:
    """Forty actions wait for an answer that does not come; the one after them is done meanwhile."""
    async with _silent_server() as url:
        calls = policy("call", [{"webhook": {"url": url, "timeout": "5m"}}], match={"name": ["hung-*"]})
        async with shop(broker, control_plane, calls, policy("restart", RESTART, match={"name": ["web"]})) as here:
            hung = [here.reacting.alert(_about_nothing(here, f"hung-{one}"), lasting=False) for one in range(40)]
            await here.reacting.tell(*hung, here.alert())
            (finished,) = await here.reacting.until(ActionFinished)
            assert (finished.action, finished.outcome) == ("restart", Outcome.SUCCEEDED)
            assert len(await here.reacting.all_of(ActionStarted)) == 41


def _about_nothing(here: Shop, name: str) -> Target:
    return Target(cluster=here.reacting.name, group="setpoint.dev", kind="Alert", namespace="", name=name)


async def _scaled(here: Shop, replicas: int) -> bool:
    return bool((await here.live())["spec"]["replicas"] == replicas)


@asynccontextmanager
async def _silent_server() -> AsyncIterator[str]:
    """A server that takes every call and answers none before it ends."""
    ending = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await ending.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hang)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        ending.set()
        await runner.cleanup()
