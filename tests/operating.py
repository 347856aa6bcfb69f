"""What tests of operations on a real API server share: scenes, and accounts with exactly the declared rights."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from schemas.actions import ACTIONS
from schemas.alerts import AlertFired, Severity
from schemas.ledger import Place
from schemas.target import Target
from schemas.template import FILLED
from services.kube.api.cluster import open_cluster
from services.kube.api.operate import Operate
from services.kube.objects import Object, key_of, metadata_of
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.operations import OPERATIONS
from services.runtime.clock import Clock, SystemClock
from tests.fakes import eventually
from tests.watching import Client, random_name

RBAC = "rbac.authorization.k8s.io"
MASK = b"a key for tests only"
CONTROLLERS_OWN = ("/revision", "template.generation", "kubernetes.io/ttl")
"""Ends of the names of annotations that Kubernetes' controllers write when they come to it."""


class Nowhere:
    """No other system: whoever calls one fails the test."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        raise AssertionError(url)

    async def delete(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        raise AssertionError(url)

    async def get(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        raise AssertionError(url)

    def secret(self, name: str) -> bytes | None:
        raise AssertionError(name)


def target_of(obj: Object, cluster: str = CONTEXT) -> Target:
    """An object as a target, with its uid where it is a live one."""
    key = key_of(obj)
    return Target(
        cluster=cluster, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name,
        uid=metadata_of(obj).get("uid"),
    )  # fmt: skip


def reference(obj: Object) -> str:
    """An object as policies name it."""
    target = target_of(obj)
    kind = f"{target.kind}.{target.group or 'core'}"
    return "/".join(part for part in (kind, target.namespace, target.name) if part)


def alert(clock: Clock) -> AlertFired:
    now = clock.now()
    about = Target(cluster=CONTEXT, group="", kind="Namespace", namespace="", name="any")
    return AlertFired(
        alert_id="al", target=about, source="falco", sender="main", name="Shell", severity=Severity.ERROR,
        lasting=False, onset=now, fired_at=now,
    )  # fmt: skip


def scene_of(
    api: Operate, action: str, parameters: Mapping[str, Any], *, place: Place | None = None, id: str = "a1",
    resumed: bool = False, policy: str = "guard", clock: Clock | None = None,
) -> Scene[Any]:  # fmt: skip
    """A scene with these parameters, as they are once they are filled."""
    clock = clock or SystemClock()
    filled = ACTIONS[action].model_validate(dict(parameters), context=FILLED)
    return Scene(
        api=api, outside=Nowhere(), clock=clock, parameters=filled, action_id=id, policy=policy, alert=alert(clock),
        place=place or Place(), mask_key=MASK, resumed=resumed,
    )  # fmt: skip


async def nobody() -> None:
    """No controller but Kubernetes' own has anything to do."""


async def done(
    action: str, scene: Scene[Any], within: float = 90.0, answered: Callable[[], Awaitable[None]] = nobody
) -> tuple[Plan, Applied]:
    """Planned, applied, `answered` by whoever else has a part in it, and come to what was wanted."""
    operation: Operation[Any] = OPERATIONS[action]
    plan = await operation.plan(scene)
    assert (plan.denial, plan.so) == (None, False), plan
    applied = await operation.apply(plan, scene)
    await answered()
    last: list[str | None] = []

    async def met() -> bool:
        last.append(await operation.unmet(plan, applied, scene))
        return last[-1] is None

    await eventually(met, within, f"{action} comes to what was wanted")
    return plan, applied


@dataclass
class Account:
    """Somebody who may do exactly what the rules say, everywhere."""

    api: Operate
    name: str


@asynccontextmanager
async def account_with(
    rules: Iterable[Rule], client: Client, plane: LocalControlPlane, namespace: str, folder: Path
) -> AsyncIterator[Account]:
    """A real ServiceAccount with a ClusterRole of its own, from the moment on that the server knows its rights."""
    name, rules = random_name("operator"), tuple(rules)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    await client.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    )
    granted = [{"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)} for rule in rules]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": granted}
    binding = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}, "subjects": [subject],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
    }  # fmt: skip
    await client.create(role)
    await client.create(binding)
    file = folder / f"{name}.kubeconfig"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = (await client.cluster.session.request("POST", path, body=request))["status"]["token"]
    file.write_text(kubeconfig(plane.url, plane.ca_file.read_bytes(), token, name), encoding="utf-8")
    cluster = await open_cluster(file, CONTEXT)
    try:
        api = Operate(cluster)
        for rule in rules:
            await eventually(partial(_may, api, rule), what=f"{rule} is granted")
        yield Account(api, name)
    finally:
        await cluster.close()
        await client.delete(binding)
        await client.delete(role)


async def _may(api: Operate, rule: Rule) -> bool:
    resource, _, subresource = rule.resource.partition("/")
    attributes = {"verb": rule.verbs[-1], "group": rule.group, "resource": resource, "subresource": subresource}
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool((await api.cluster.session.request("POST", path, body=body))["status"].get("allowed"))


def written_part(obj: Object) -> tuple[Any, ...]:
    """What changes with any write but a controller's own: status, counts of revisions, a node's taints and numbers."""
    metadata, spec = metadata_of(obj), dict(obj.get("spec") or {})
    annotations = {
        name: text for name, text in (metadata.get("annotations") or {}).items() if not name.endswith(CONTROLLERS_OWN)
    }
    taints = [one for one in spec.pop("taints", ()) if not one["key"].startswith("node.kubernetes.io/")]
    for name in ("podCIDR", "podCIDRs"):
        spec.pop(name, None)
    return annotations, metadata.get("labels") or {}, spec, taints, obj.get("data")
