"""A stream of alerts and answers while gateway and reconciler are killed at random: every accepted alert is decided
about, every action is done once, and every approval is used once.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import aiohttp
import orjson
import pytest

from schemas.approvals import ApprovalAnswered, ApprovalClosed, ApprovalEnd, ApprovalRefused, ApprovalRequested
from schemas.events import ActionFinished, ActionStarted, DecisionMade, Event, Outcome
from schemas.topics import TopicName
from services.local.apiclient import api_session
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.folders import RunFolder
from services.local.ports import free
from services.local.prepare import Parts
from services.reconciler.actions.operation import MARK
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from tests.chaos.harness import CONTEXT, PARTITIONS, until
from tests.chaos.service import Service
from tests.chaos.topics import read_topics, readable

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(700)]

SECRET, TOKENS = "the secret of the alerts' sender", {"ann": "a token of ann's own", "bob": "a token of bob's own"}
PLAIN, ASKED = 50, 15
KILLS = 6
WITHIN_S = 240.0
ANSWERS = (ApprovalAnswered, ApprovalRefused)
"""Told as often as people say the same again."""
SAID = (TopicName.DECISIONS, TopicName.ACTIONS, TopicName.APPROVALS)
POLICIES = """
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: asked}
spec:
  trigger: {alert: Broken}
  match: {namespace: [NAMESPACE], name: ["asked-*"]}
  approve: {by: [ann, bob], timeout: 1h}
  do: [{restart: {}, verify: {within: 5m}}]
  mode: enforce
---
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: plain}
spec:
  trigger: {alert: Broken}
  match: {namespace: [NAMESPACE], name: ["plain-*"]}
  do: [{restart: {}, verify: {within: 5m}}]
  mode: enforce
"""


@dataclass
class Front:
    """Deployments to be restarted, and two services that are killed meanwhile."""

    name: str
    folder: Path
    broker: LocalBroker
    plane: LocalControlPlane
    api: aiohttp.ClientSession
    http: aiohttp.ClientSession
    port: int
    chance: random.Random
    accepted: set[str] = field(default_factory=set)
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of all Deployments."""
        return [f"plain-{number}" for number in range(PLAIN)] + [f"asked-{number}" for number in range(ASKED)]

    def start(self) -> None:
        for label in ("gateway", "reconciler"):
            command = ["services.cli.main", "run", label, "--http-port", "0"]
            self.services[label] = Service(label, command, self.folder / "services", self.environ())
            self.services[label].start()

    async def until_ready(self) -> None:
        await asyncio.gather(*(service.until_ready() for service in self.services.values()))

    def environ(self) -> dict[str, str]:
        given = {
            "kafka": self.broker.bootstrap, "partitions": PARTITIONS, "group_prefix": self.name, "cluster": self.name,
            "kubeconfig": self.plane.kubeconfig, "context": CONTEXT, "policies": self.folder / "policies.yml",
            "gateway_secrets": self.folder / "secrets", "gateway_listen": f"127.0.0.1:{self.port}",
            "mask_key": "a key for chaos tests only", "storm_max": 1000,
        }  # fmt: skip
        return {f"SETPOINT_{name.upper()}": str(value) for name, value in given.items()}

    async def post(self, path: str, token: str, body: Any) -> int:
        """The answer's status, 0 where there was none."""
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            async with self.http.post(
                f"http://127.0.0.1:{self.port}{path}", data=orjson.dumps(body), headers=headers
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    async def fire(self, name: str) -> None:
        """As Alertmanager does: again and again until it is accepted, and once more after that."""
        body = self.alert(name)
        while await self.post(f"/v1/ingest/alertmanager/{self.name}", SECRET, body) != 202:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        self.accepted.add(name)
        if self.chance.random() < 0.3:
            await self.post(f"/v1/ingest/alertmanager/{self.name}", SECRET, body)

    def alert(self, name: str) -> dict[str, Any]:
        labels = {"alertname": "Broken", "namespace": self.name, "deployment": name, "severity": "critical"}
        one = {
            "status": "firing", "labels": labels, "annotations": {"summary": "it is broken"},
            "startsAt": "2026-11-24T12:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
            "fingerprint": uuid5(NAMESPACE_OID, name).hex[:16],
        }  # fmt: skip
        return {
            "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "setpoint",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": [one],
        }  # fmt: skip

    async def kill_now_and_then(self) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(self.chance.uniform(0.3, 1.5))
            victims = self.chance.choice((("gateway",), ("reconciler",), ("gateway", "reconciler")))
            for victim in victims:
                await self.services[victim].kill()
            await asyncio.sleep(self.chance.uniform(0.0, 0.5))
            for victim in victims:
                self.services[victim].start()
            await self.until_ready()

    async def answer_all(self) -> None:
        """Both say yes to every question, again and again: one of them is too many."""
        given: Counter[str] = Counter()
        while True:
            for asked in await self.all_of(ApprovalRequested):
                if given[asked.approval_id] < 3:
                    for token in TOKENS.values():
                        body = {"cluster": self.name, "answer": "approve"}
                        given[asked.approval_id] += (
                            await self.post(f"/v1/approvals/{asked.approval_id}", token, body) == 202
                        )
            await asyncio.sleep(0.2)

    async def said(self) -> list[Event[Any]]:
        topics = await read_topics(self.broker.bootstrap, SAID)
        events = (readable(record) for record in topics.of(*SAID))
        return [event for event in events if event]

    async def all_of(self, kind: type[Any]) -> list[Any]:
        return [event.data for event in await self.said() if isinstance(event.data, kind)]

    async def unfinished(self) -> list[str]:
        """What has not come to an end yet."""
        events = await self.said()
        ended = {e.data.target.name for e in events if isinstance(e.data, ActionFinished)}
        left = [name for name in self.names if name not in self.accepted or name not in ended]
        begun = {e.data.action_id for e in events if isinstance(e.data, ActionStarted)}
        return left + sorted(begun - {e.data.action_id for e in events if isinstance(e.data, ActionFinished)})

    async def deployments(self) -> dict[str, Any]:
        async with self.api.get(f"/apis/apps/v1/namespaces/{self.name}/deployments") as answer:
            return {one["metadata"]["name"]: one for one in orjson.loads(await answer.read())["items"]}


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.org/a:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def open_front(parts: Parts, plane: LocalControlPlane, folder: Path, seed: int) -> AsyncIterator[Front]:
    """The parts, the Deployments and the services; all is ended with the block."""
    name = f"alerts-{uuid4().hex[:8]}"
    home = folder / name
    (home / "secrets").mkdir(parents=True)
    (home / "policies.yml").write_text(POLICIES.replace("NAMESPACE", name), encoding="utf-8")
    (home / "secrets" / f"alertmanager.{name}").write_text(SECRET, encoding="utf-8")
    for user, token in TOKENS.items():
        (home / "secrets" / f"approvals.{user}").write_text(token, encoding="utf-8")
    print(f"seed {seed}, folder {home}")
    async with AsyncExitStack() as stack:
        broker = LocalBroker(home, parts.kafka.jars, parts.kafka.java)
        stack.push_async_callback(broker.stop)
        await broker.start()
        await ensure_topics(Settings(kafka=broker.bootstrap, partitions=PARTITIONS))
        api = await stack.enter_async_context(api_session(plane.url, plane.ca_file, plane.admin_token))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        (port,) = free(1)
        front = Front(name, home, broker, plane, api, http, port, random.Random(seed))
        await _create(api, front)
        stack.push_async_callback(_end, front)
        front.start()
        await front.until_ready()
        yield front


async def _create(api: aiohttp.ClientSession, front: Front) -> None:
    await _post(api, "/api/v1/namespaces", {"metadata": {"name": front.name}})
    path = f"/apis/apps/v1/namespaces/{front.name}/deployments"
    await asyncio.gather(*(_post(api, path, _deployment(name)) for name in front.names))

    async def starting() -> list[str]:
        live = await front.deployments()
        return [name for name in front.names if not live[name].get("status", {}).get("availableReplicas")]

    await until(starting, "not up", WITHIN_S)


async def _post(api: aiohttp.ClientSession, path: str, body: Any) -> None:
    async with api.post(path, data=orjson.dumps(body), headers={"content-type": "application/json"}) as answer:
        assert answer.status == 201, await answer.text()


async def _end(front: Front) -> None:
    for service in front.services.values():
        if service.child:
            await service.child.kill()


def twice(names: Iterable[str]) -> list[str]:
    """What is there more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


async def test_alerts_under_random_kills(
    parts: Parts, control_plane: LocalControlPlane, session_folder: RunFolder, seed: int
) -> None:
    """Every 202 has a decision and comes to its end; no action twice, by its events and by what the server shows."""
    async with open_front(parts, control_plane, session_folder.path, seed) as front:
        answering = asyncio.create_task(front.answer_all())
        killing = asyncio.create_task(front.kill_now_and_then())
        names = front.names
        front.chance.shuffle(names)
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(front.fire(name))
                await asyncio.sleep(front.chance.uniform(0.0, 0.2))
        await killing
        await until(front.unfinished, f"not over (seed {seed})", WITHIN_S)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        _judge(await front.said(), await front.deployments(), front.accepted)


def _judge(events: list[Event[Any]], live: dict[str, Any], accepted: set[str]) -> None:
    of: defaultdict[type[Any], list[Any]] = defaultdict(list)
    for event in events:
        of[type(event.data)].append(event.data)
    own = (f"{event.type} {event.id}" for event in events if not isinstance(event.data, ANSWERS))
    assert twice(own) == [], "every event is told once"
    assert accepted <= {made.target.name for made in of[DecisionMade]}, "every accepted alert is decided about"
    assert twice(made.target.name for made in of[ActionStarted] if made.attempt == 1) == []
    assert twice(made.action_id for made in of[ActionFinished]) == []
    done = [made for made in of[ActionFinished] if made.outcome is Outcome.SUCCEEDED]
    assert twice(made.target.name for made in done) == [], "no action twice"
    assert {made.target.name for made in done} == accepted, "none forgotten"
    marks = {made.target.name: made.action_id for made in done}
    for name, deployment in live.items():
        assert deployment["metadata"]["generation"] == 2, f"{name} was restarted once"
        assert deployment["spec"]["template"]["metadata"]["annotations"][MARK] == marks[name]
    _judge_approvals(of[ApprovalRequested], of[ApprovalClosed], of[ActionStarted])


def _judge_approvals(requested: list[Any], closed: list[Any], begun: list[Any]) -> None:
    assert {made.target.name for made in requested} == {f"asked-{number}" for number in range(ASKED)}
    assert sorted(made.approval_id for made in requested) == sorted(made.approval_id for made in closed)
    assert {made.outcome for made in closed} == {ApprovalEnd.APPROVED}
    acts = Counter(made.target.name for made in begun if made.target.name.startswith("asked-"))
    assert acts == Counter(made.target.name for made in closed), "an approval is used once"
