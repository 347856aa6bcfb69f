"""What the reconciler's tests share: builders of events and policies, and hands over a cluster in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.events import ClearedReason, DriftCleared, DriftDetected, DriftState, FieldChange, Mode
from schemas.policy import Policy
from schemas.target import Target
from services.kube.api.errors import ApiError, Conflict
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, ObjectKey
from services.kube.pointer import FieldDiff
from services.kube.verdict.judge import Finding

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def target_of(name: str = "web", namespace: str = "shop", cluster: str = "c1", kind: str = "Deployment") -> Target:
    return Target(
        cluster=cluster, group="apps" if kind == "Deployment" else "", kind=kind, namespace=namespace, name=name
    )


def key_of(target: Target) -> ObjectKey:
    return ObjectKey(target.group, target.kind, target.namespace, target.name)


def drift(
    target: Target | None = None, *, life: str = "d1", update: int = 0, version: int = 100, at: datetime = NOON,
    manager: str | None = "kubectl", state: Any = "changed", baseline: str = "base", live: int = 5, **more: Any,
) -> DriftDetected:  # fmt: skip
    change = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=live, manager=manager)
    return DriftDetected(
        target=target or target_of(), drift_id=life, baseline=baseline, state=state, engine="dry-run", onset=at,
        detected_at=at, update=update, resource_version=str(version), fields=(change,), **more,
    )  # fmt: skip


def clear(target: Target | None = None, *, life: str = "d1", version: int = 101, at: datetime = NOON) -> DriftCleared:
    return DriftCleared(
        target=target or target_of(), drift_id=life, baseline="base", onset=at, cleared_at=at,
        reason=ClearedReason.IN_SYNC, resource_version=str(version), manager="setpoint",
    )  # fmt: skip


def policy(name: str = "heal", *, mode: Mode = Mode.ENFORCE, baseline: str = "*", **spec: Any) -> Policy:
    document = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {"name": name},
        "spec": {"trigger": {"drift": {"baseline": baseline}}, "mode": mode, **spec},
    }
    return Policy.model_validate(document)


def declared(target: Target, replicas: int = 3) -> Declared:
    api = "apps/v1" if target.group == "apps" else "v1"
    obj = {
        "apiVersion": api,
        "kind": target.kind,
        "metadata": {"name": target.name, "namespace": target.namespace},
        "spec": {"replicas": replicas},
    }
    packer = Packer()
    return Declared(
        "base", key_of(target), "v1", packer.pack(obj), packer, (), frozenset(), None, "base.yaml", 1,
        f"digest-{replicas}",
    )  # fmt: skip


class MovedClock:
    """Stands still until somebody sleeps or `advance`s; a sleep takes no real time."""

    def __init__(self, now: datetime = NOON) -> None:
        self.start, self.passed = now, 0.0

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += max(0.0, seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.passed += seconds


class FakeHands:
    """A cluster in memory. `fails[phase]` are errors to raise, in order; `before[phase]` runs before a call."""

    def __init__(self, name: str = "c1", version: int = 100) -> None:
        self.name = name
        self.version = version
        self.objects: dict[ObjectKey, Object] = {}
        self.writes: list[tuple[str, ObjectKey]] = []
        self.fails: dict[str, list[BaseException]] = defaultdict(list)
        self.before: dict[str, Callable[[], Any]] = {}

    def put(self, target: Target, replicas: int, **more: Any) -> Object:
        """What another client would do."""
        key = key_of(target)
        self.version += 1
        uid = self.objects[key]["metadata"]["uid"] if key in self.objects else f"uid-{self.version}"
        self.objects[key] = {
            "apiVersion": "apps/v1" if target.group == "apps" else "v1",
            "kind": target.kind,
            "metadata": {"name": target.name, "namespace": target.namespace, "uid": uid, "generation": self.version,
                         "resourceVersion": str(self.version)},
            "spec": {"replicas": replicas},
            "status": {"observedGeneration": self.version, "updatedReplicas": replicas, "availableReplicas": replicas},
            **more,
        }  # fmt: skip
        return self.objects[key]

    async def get(self, declared: Declared) -> Object | None:
        await self._call("get")
        return self.objects.get(declared.key)

    async def judge(self, declared: Declared, live: Object | None, *, quick: bool = False) -> Finding:
        await self._call("judge")
        if live is None:
            return Finding(DriftState.MISSING)
        want, have = declared.obj["spec"]["replicas"], live["spec"]["replicas"]
        if want == have:
            return Finding(None)
        return Finding(DriftState.CHANGED, (FieldDiff("/spec/replicas", "changed", want, have),), "dry-run")

    async def find(self, key: ObjectKey) -> Object | None:
        await self._call("find")
        return self.objects.get(key)

    async def put_back(
        self, declared: Declared, live: Object | None, finding: Finding, *, recreate: bool = False
    ) -> Object:
        await self._call("put_back")
        self.writes.append(("put_back", declared.key))
        return self.put(self._target(declared.key), declared.obj["spec"]["replicas"])

    async def put_forward(self, before: Object | None, after: Object) -> None:
        await self._call("put_forward")
        meta = after["metadata"]
        key = ObjectKey(
            "apps" if after["apiVersion"] == "apps/v1" else "", after["kind"], meta["namespace"], meta["name"]
        )
        self.writes.append(("put_forward", key))
        if before is None:
            del self.objects[key]
        else:
            self.put(self._target(key), before["spec"]["replicas"])

    async def put_away(self, live: Object) -> None:
        await self._call("put_away")
        meta = live["metadata"]
        group = "apps" if live["apiVersion"] == "apps/v1" else ""
        key = ObjectKey(group, live["kind"], meta["namespace"], meta["name"])
        now = self.objects.get(key)
        if now is None or now["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise Conflict("it is another one by now", 409)
        self.writes.append(("put_away", key))
        del self.objects[key]

    async def _call(self, phase: str) -> None:
        if phase in self.before:
            answer = self.before[phase]()
            if asyncio.iscoroutine(answer):
                await answer
        if self.fails[phase]:
            error = self.fails[phase].pop(0)
            assert isinstance(error, ApiError | TimeoutError | RuntimeError | asyncio.CancelledError)
            raise error

    def _target(self, key: ObjectKey) -> Target:
        return Target(cluster=self.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)
