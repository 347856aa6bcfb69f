"""A diff of 20 000 objects that all differ, by each engine: the local one, and the server's dry-run of every object.

`compare`, as `setpoint diff` runs it, in one process with one thread. Beside it `kubectl diff --server-side` on a
sample of the same manifests, which asks the server the same for each object.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.figures import Figure, figure
from benchmarks.objects import mixture
from benchmarks.peers import rates
from benchmarks.stage import CLUSTER, Stage, open_stage
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.declaration.declared import bind_all
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.scan import compare
from services.local.credentials import CONTEXT
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("diff_objects_per_s_local", "diff_objects_per_s_dry_run")
OBJECTS = int(os.environ.get("DIFF_OBJECTS", "20000"))
DEPLOYMENTS = 0.2
SAMPLE = 100


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and the comparison as text."""
    objects = list(mixture(OBJECTS, deployments=DEPLOYMENTS))
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        declared = [changed(obj) for obj in objects]
        stage.declare(declared)
        cluster = await open_cluster(stage.plane.kubeconfig, CONTEXT, CLUSTER)
        try:
            bound = bind_all(cluster, load_baselines(stage.files / "baselines.yaml"))
            local, local_cpu = await diff(cluster, bound, dry_run=False)
            asked, asked_cpu = await diff(cluster, bound, dry_run=True)
        finally:
            await cluster.close()
        theirs = await kubectl_diff(parts.control_plane.binaries["kubectl"], stage, declared[:SAMPLE])
    words = (
        f"local {local:.0f} objects/s, {local_cpu:.0f} a CPU second; dry-run {asked:.0f} objects/s, "
        f"{asked_cpu:.0f} a CPU second of this process; kubectl diff {theirs:.1f} objects/s over {SAMPLE}: "
        f"{asked / theirs:.0f} times as fast with the same question to the server\n{rates()}"
    )
    figures = [
        figure("diff_objects_per_s_local", local, OBJECTS),
        figure("diff_objects_per_s_dry_run", asked, OBJECTS),
    ]
    return figures, words


def changed(obj: Object) -> Object:
    """The manifest with one other value, so that the live object differs from it."""
    if obj["kind"] == "ConfigMap":
        return {**obj, "data": {**obj["data"], "setting-3": "another value"}}
    template = obj["spec"]["template"]
    container = {**template["spec"]["containers"][0], "image": "registry.example/team/another:2"}
    pod = {**template, "spec": {**template["spec"], "containers": [container]}}
    return {**obj, "spec": {**obj["spec"], "template": pod}}


async def diff(cluster: Cluster, declared: Mapping[ObjectKey, Declared], *, dry_run: bool) -> tuple[float, float]:
    """Objects a second of the clock, and of this process' CPU."""
    began, cpu = time.monotonic(), time.process_time()
    found = await compare(cluster, declared, dry_run=dry_run)
    took, spent = time.monotonic() - began, time.process_time() - cpu
    engines = {finding.engine for _, _, finding in found.drifted}
    if len(found.drifted) != len(declared) or engines != {"dry-run" if dry_run else "local"}:
        raise Permanent(f"{len(found.drifted)} of {len(declared)} objects differ, by {engines}")
    return found.checked / took, found.checked / spent


async def kubectl_diff(kubectl: Path, stage: Stage, sample: list[Object]) -> float:
    """Objects a second of kubectl on a part of the same manifests. Its exit code is 1 where something differs."""
    file = stage.folder / "sample.yaml"
    file.write_text(yaml.dump_all(sample, Dumper=yaml.CSafeDumper), encoding="utf-8")
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        str(kubectl), "--kubeconfig", str(stage.plane.kubeconfig), "diff", "--server-side", "--force-conflicts",
        "-f", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await child.communicate()
    if child.returncode != 1:
        raise Permanent(f"kubectl diff ended with {child.returncode}: {complaint.decode(errors='replace')[-300:]}")
    return len(sample) / (time.monotonic() - began)
