"""What tests of fixes on a real API server share: a namespace, a declaration, and the reconciler's worker over both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.events import DriftDetected, Mode, Outcome, Reason
from schemas.ledger import InFlight
from schemas.policy import Step
from schemas.target import Target
from services.kube.api.cluster import Cluster
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, ObjectKey, key_of, managed_fields
from services.kube.writers.ownership import owners
from services.local.credentials import CONTEXT
from services.reconciler.acting.hands import KubeHands
from services.reconciler.acting.turns import Turns
from services.reconciler.acting.worker import Bench, run_action
from services.reconciler.inputs import Job, Result
from services.runtime.clock import SystemClock
from services.runtime.logging import get_log
from tests.reconciler_kit import NOON
from tests.watching import DEPLOYER, Client, Files, random_name

DONE = (Outcome.SUCCEEDED, Reason.VERIFIED)


@dataclass
class Workshop:
    """A namespace of one test, and everything that is fixed in it."""

    client: Client
    namespace: str
    folder: Path

    @property
    def cluster(self) -> Cluster:
        return self.client.cluster

    def declare(self, obj: Object, *ignore: str, manager: str | None = DEPLOYER) -> Declared:
        """The object as a baseline of its own declares it, with the cluster's scopes."""
        rules = [{"path": path, "reason": "somebody else's"} for path in ignore]
        declared = Files(self.folder / random_name("base"), manager, rules).write(obj).declared()
        return next(iter(declared.values())).bound_to(self.cluster.bind)

    async def deployed(self, obj: Object, *ignore: str) -> Declared:
        """Declared, and applied by the deployer."""
        await self.client.apply(obj)
        return self.declare(obj, *ignore)

    async def live(self, declared: Declared) -> Object:
        found = await self.cluster.get(declared.key, declared.version)
        assert found is not None
        return found

    async def fix(self, declared: Declared, *, cluster: Cluster | None = None, **how: Any) -> Result:
        """One revert, as the reconciler's worker runs it. `how` is the step's; `mode`, `resumed` and `hands` aside."""
        job = job_for(declared.key, "revert", mode=how.pop("mode", Mode.ENFORCE), resumed=how.pop("resumed", False),
                      step={"revert": how.pop("revert", {}), **how})  # fmt: skip
        return await run_action(job, declared, lambda _: None, bench(cluster or self.cluster))

    async def prune(self, obj: Object, drift: DriftDetected | None, **step: Any) -> Result:
        """One prune of an object that nobody declares."""
        live = await self.client.get(obj)
        uid = live["metadata"]["uid"] if live else None
        job = job_for(key_of(obj), "prune", step={"prune": {}, **step}, drift=drift, uid=uid)
        return await run_action(job, None, lambda _: None, bench(self.cluster))


def bench(cluster: Cluster) -> Bench:
    return Bench(KubeHands(cluster), SystemClock(), Turns(4), get_log("test"))


def job_for(
    key: ObjectKey, action: str, *, step: Any, mode: Mode = Mode.ENFORCE, resumed: bool = False,
    drift: DriftDetected | None = None, uid: str | None = None,
) -> Job:  # fmt: skip
    target = Target(
        cluster=CONTEXT, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name, uid=uid
    )  # fmt: skip
    flight = InFlight(
        action_id="a", action=action, decision_id="d", policy="heal", attempt=1, started_at=NOON, mode=mode
    )  # fmt: skip
    return Job(target, flight, Step.model_validate(step), drift, resumed)


def managers(live: Object, pointer: str) -> set[tuple[str, str]]:
    """Who owns a path: (manager, operation)."""
    return {(owner.manager, owner.operation) for owner in owners(live, pointer)}


def entries_of(live: Object, manager: str) -> list[dict[str, Any]]:
    return [entry for entry in managed_fields(live) if entry.get("manager") == manager and not entry.get("subresource")]


def with_container(obj: Object, **changes: Any) -> Object:
    """The same workload with its first container changed."""
    template = obj["spec"]["template"]
    first = {**template["spec"]["containers"][0], **changes}
    pod = {**template["spec"], "containers": [first, *template["spec"]["containers"][1:]]}
    return {**obj, "spec": {**obj["spec"], "template": {**template, "spec": pod}}}


def container(live: Object) -> Any:
    """A workload's first container."""
    return live["spec"]["template"]["spec"]["containers"][0]


def ended(result: Result) -> tuple[Outcome, Reason]:
    """How a fix that should succeed has ended; what it says where it has not."""
    assert result.outcome is Outcome.SUCCEEDED, f"{result.reason}: {result.message}"
    return result.outcome, result.reason
