"""What a case's steps are given: a namespace of its own on the real control plane, and hands to write with."""

import copy
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from services.kube.api.errors import Conflict
from services.kube.api.session import JSON_PATCH
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.objects import LAST_APPLIED, Object, key_of
from services.kube.pointer import parse_pointer, resolve
from tests.cases.case import Case, Deployed
from tests.fakes import eventually
from tests.kinds import until_usable
from tests.watching import MERGE, Client
from tests.webhooks import Webhooks

PERSON = "kubectl-edit"


@dataclass
class Scene:
    """One case while it is played. `obj` is the manifest as declared, in the scope that its kind has."""

    case: Case
    client: Client
    namespace: str
    name: str
    webhooks: Webhooks
    obj: Object = field(default_factory=dict)
    after: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def live(self) -> Object:
        """The object as it is now; it must be there."""
        found = await self.client.get(self.obj)
        assert found is not None, f"{key_of(self.obj)} is not there"
        return found

    async def merge(self, body: Any, manager: str = PERSON) -> Object:
        """A JSON merge patch of the object."""
        return await self.client.patch(self.obj, body, manager, MERGE)

    async def set(self, pointer: str, value: Any, manager: str = PERSON) -> Object:
        """A JSON patch that puts one value where the pointer says, `-` at its end appends."""
        return await self.client.patch(self.obj, [{"op": "add", "path": pointer, "value": value}], manager, JSON_PATCH)

    async def unset(self, pointer: str, manager: str = PERSON) -> Object:
        """A JSON patch that removes what stands there."""
        return await self.client.patch(self.obj, [{"op": "remove", "path": pointer}], manager, JSON_PATCH)

    async def edit(self, change: Callable[[Object], object], manager: str = PERSON) -> Object:
        """A PUT of the object after `change` was made to it in place, as `kubectl edit` does; again where a controller
        was quicker."""
        while True:
            live = copy.deepcopy(await self.live())
            change(live)
            with suppress(Conflict):
                return await self.client.cluster.replace(live, manager=manager)

    async def scale(self, replicas: int, manager: str = PERSON) -> Object:
        """Through the scale subresource, as `kubectl scale` and autoscalers do."""
        params = {"fieldManager": manager}
        path, body = self.client.path(self.obj) + "/scale", {"spec": {"replicas": replicas}}
        answer: Object = await self.client.cluster.session.request(
            "PATCH", path, params=params, body=body, content_type=MERGE
        )
        return answer

    async def until(self, pointer: str, wanted: Callable[[Any], bool] = bool, within: float = 120.0) -> None:
        """Wait for a controller: until the value at the pointer is as wanted."""

        async def there() -> bool:
            return wanted(resolve(await self.live(), parse_pointer(pointer)))

        await eventually(there, within, f"{pointer} of {key_of(self.obj)}")

    async def create(self, obj: Object, manager: str = "kubectl-create") -> Object:
        """Another object beside the case's own, taken away at the end if it is cluster-scoped."""
        made = await self.client.create(obj, manager)
        if not made["metadata"].get("namespace"):
            self.after.push_async_callback(self.client.delete, obj)
        return made

    async def serve(self, definition: Object) -> None:
        """Create a CustomResourceDefinition and wait until its newest version is served and has its schema."""
        await self.create(definition)
        await self.served(definition)

    async def share(self, definition: Object) -> None:
        """The same for a definition that several cases use: it stays until the control plane ends."""
        if await self.client.get(definition) is None:
            await self.client.create(definition)
            await self.served(definition)

    async def served(self, definition: Object) -> None:
        """Wait until each version that a definition serves can be used, and has its schema."""
        spec = definition["spec"]
        for version in (one["name"] for one in spec["versions"] if one["served"]):
            await until_usable(self.client, spec["group"], version, spec["names"]["kind"], schema=True)


def declare(case: Case, obj: Object, folder: Path) -> Declared:
    """The manifest as a user's baseline declares it: written as JSON, which is YAML, and read back by the loader.

    Not by PyYAML, which leaves a `y` without quotes, and that is true to Kubernetes.
    """
    manifests = folder / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    (manifests / "all.yaml").write_text(json.dumps(obj, ensure_ascii=False), encoding="utf-8")
    spec = {
        "source": {"folder": "manifests"}, "manager": case.manager, "trustedManagers": list(case.trusted),
        "ignore": [{"path": path, "reason": "somebody else's"} for path in case.ignore],
    }  # fmt: skip
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "base"}}
    (folder / "baseline.yaml").write_text(yaml.safe_dump({**header, "spec": spec}), encoding="utf-8")
    (declared,) = load_baselines(folder / "baseline.yaml").objects
    return replace(declared, rivals=case.rivals, take_over=case.take_over)


async def deploy(scene: Scene, obj: Object) -> None:
    """Bring the object into the cluster in the case's way."""
    case, client = scene.case, scene.client
    if case.deployed is Deployed.APPLY:
        await client.apply(obj, case.manager)
    elif case.deployed is Deployed.POST:
        await client.create(obj, case.manager)
    elif case.deployed is Deployed.CLIENT_APPLY:
        await client.create(with_last_applied(obj), case.manager)
    if case.deployed is not Deployed.NOTHING and not key_of(obj).namespace:
        scene.after.push_async_callback(_delete, client, obj)


async def _delete(client: Client, obj: Object) -> None:
    if await client.get(obj):
        await client.delete(obj)


def with_last_applied(obj: Object) -> Object:
    """The manifest with the note that `kubectl apply` leaves."""
    annotations = {**(obj["metadata"].get("annotations") or {}), LAST_APPLIED: json.dumps(obj) + "\n"}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
