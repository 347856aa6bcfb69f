"""Play a case on the real control plane: hear what both engines say of the same live object, then correct it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.events import DriftState
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.errors import Conflict, Invalid
from services.kube.correction.revert import put_back
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, managed_fields
from services.kube.pointer import parse_pointer, resolve
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from tests.cases.case import Case, Verdict
from tests.cases.scene import Scene, declare, deploy
from tests.watching import Client, random_name, reader_kubeconfig
from tests.webhooks import Webhooks

TRIES, PAUSE_S = 50, 0.05
CORRECTED = (DriftState.CHANGED, DriftState.MISSING)


@dataclass(frozen=True)
class Stage:
    """The real parts on which cases are played, one after another."""

    plane: LocalControlPlane
    client: Client
    webhooks: Webhooks
    folder: Path


@dataclass(frozen=True)
class Heard:
    """What the engines said, and what the correction came to: see `Case.expect_fix`."""

    dry_run: Verdict
    local: Verdict
    fix: str


async def play(case: Case, stage: Stage) -> Heard:
    """Set the scene, let it happen, ask both engines, and take cluster-scoped things away again."""
    name = random_name("case")
    scene = Scene(case, stage.client, await stage.client.namespace(), name, stage.webhooks)
    async with scene.after:
        scene.obj = case.declared(scene.namespace, name)
        if case.before:
            await case.before(scene)
        declared = declare(case, scene.obj, stage.folder / name)
        if stage.client.cluster.catalogue.serves(declared.key.group, declared.version, declared.key.kind):
            declared = declared.bound_to(stage.client.cluster.bind)
        scene.obj = declared.obj
        stored = case.stored(scene.namespace, name) if case.stored else case.declared(scene.namespace, name)
        await deploy(scene, stored)
        deployed = await stage.client.get(scene.obj)
        if case.then:
            await case.then(scene)
        live = await stage.client.get(scene.obj)
        return await _ask(scene, declared, live and aged(live, deployed), stage)


def aged(live: Object, deployed: Object | None) -> Object:
    """The object as if it had been deployed an hour before what happened then, instead of some milliseconds."""
    before = [entry for entry in managed_fields(deployed or {}) if not entry.get("subresource")]
    entries = [
        {**entry, "time": _earlier(entry["time"])} if entry in before else entry for entry in managed_fields(live)
    ]
    created = _earlier(live["metadata"]["creationTimestamp"])
    return {**live, "metadata": {**live["metadata"], "creationTimestamp": created, "managedFields": entries}}


def _earlier(text: str) -> str:
    return (datetime.fromisoformat(text) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _ask(scene: Scene, declared: Declared, live: Object | None, stage: Stage) -> Heard:
    cluster = stage.client.cluster
    local = await judge(cluster, declared, live, dry_run=False)
    if scene.case.reader:
        found, fix = await _as_reader(scene, declared, live, stage), ""
    else:
        found = await judge(cluster, declared, live)
        fix = await _correct(scene, declared) if found.state in CORRECTED else ""
    return Heard(_told(found, live, declared), _told(local, live, declared), fix)


async def _correct(scene: Scene, declared: Declared) -> str:
    """Correct the object as it now is, and say what that came to."""
    for attempt in range(TRIES):
        before = await scene.client.get(scene.obj)
        finding = await judge(scene.client.cluster, declared, before)
        try:
            await put_back(scene.client.cluster, declared, before, finding)
            break
        except Conflict:  # a controller was quicker
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(PAUSE_S)
        except Invalid as error:
            return str(error.cause)
    after = await scene.live()
    taken = [path for path in finding.left if _at(before, path) != _at(after, path)]
    left = await judge(scene.client.cluster, declared, after)
    if taken or left.state:
        return f"still {left.state}, took {taken}"
    return "corrected"


def _at(obj: Object | None, pointer: str) -> Any:
    return resolve(obj, parse_pointer(pointer))


async def _as_reader(scene: Scene, declared: Declared, live: Object | None, stage: Stage) -> Finding:
    file = stage.folder / f"{scene.name}.kubeconfig"
    reader: Cluster = await open_cluster(
        await reader_kubeconfig(scene.client, stage.plane, scene.namespace, file), CONTEXT
    )
    try:
        return await judge(reader, declared, live)
    finally:
        await reader.close()


def _told(finding: Finding, live: Object | None, declared: Declared) -> Verdict:
    """A finding in a case's terms: the writer of every field that still stands there."""
    changes = describe(live, declared.obj, finding.fields, b"a key for tests only")
    writers = {change.path: change.manager for change in changes if change.kind != "removed"}
    fields = frozenset((diff.path, diff.kind) for diff in finding.fields)
    return Verdict(
        str(finding.state) if finding.state else None, fields, writers, str(finding.reason) if finding.reason else None
    )
