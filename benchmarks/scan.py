"""A full comparison of many objects, and what a watcher's memory holds for each.

The scan is `compare`, as `setpoint diff` runs it: lists from the API server and the local check of every object, in one
process with one thread. The memory is the resident one of a `setpoint run watcher` process, all counted, at several
numbers of declared objects; what an object costs is the slope between the least and the most.
"""

import asyncio
import time
from collections.abc import Mapping
from statistics import median

from benchmarks.figures import Figure, figure
from benchmarks.objects import mixture
from benchmarks.stage import CLUSTER, Stage, open_stage
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.declaration.declared import bind_all
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.scan import compare
from services.local.credentials import CONTEXT
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("scan_objects_per_s", "watcher_bytes_per_object", "watcher_rss_2000")
SIZES = (1000, 2000, 5000, 20_000)
DEPLOYMENTS = 0.2
ROUNDS = 3
STEADY_BYTES = 256 * 1024
STEADY_WITHIN_S = 20.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and the growth as text."""
    objects = list(mixture(SIZES[-1], deployments=DEPLOYMENTS))
    resident: dict[int, int] = {}
    async with open_stage(parts) as stage:
        made = 0
        for size in SIZES:
            await stage.populate(objects[made:size])
            made = size
            resident[size] = await watcher_memory(stage, objects[:size])
        rate, per_cpu = await scan_rate(stage)
    least, most = SIZES[0], SIZES[-1]
    slope = (resident[most] - resident[least]) / (most - least)
    figures = [
        figure("scan_objects_per_s", rate, most),
        figure("watcher_bytes_per_object", slope, most - least),
        figure("watcher_rss_2000", resident[2000] / 2**20, 2000),
    ]
    grown = ", ".join(f"{size}: {found / 2**20:.1f} MiB" for size, found in resident.items())
    return figures, f"scan: {per_cpu:.0f} objects a CPU second of the scanning process\nwatcher at {grown}"


async def watcher_memory(stage: Stage, objects: list[Object]) -> int:
    """Resident bytes of a fresh watcher of `objects`, once it has listed them and has come to rest."""
    stage.declare(objects)
    await stage.start("watcher")
    usage = stage.usage()
    last, deadline = 0, time.monotonic() + STEADY_WITHIN_S
    while abs((found := usage.rss()["watcher"]) - last) > STEADY_BYTES and time.monotonic() < deadline:
        last = found
        await asyncio.sleep(3.0)
    await stage.end("watcher")
    return found


async def scan_rate(stage: Stage) -> tuple[float, float]:
    """Objects a second of the clock, and of this process' CPU; medians of some rounds after one that is not counted."""
    cluster = await open_cluster(stage.plane.kubeconfig, CONTEXT, CLUSTER)
    try:
        declared = bind_all(cluster, load_baselines(stage.files / "baselines.yaml"))
        await _scan(cluster, declared)
        rounds = [await _scan(cluster, declared) for _ in range(ROUNDS)]
    finally:
        await cluster.close()
    return median(rate for rate, _ in rounds), median(per_cpu for _, per_cpu in rounds)


async def _scan(cluster: Cluster, declared: Mapping[ObjectKey, Declared]) -> tuple[float, float]:
    began, cpu = time.monotonic(), time.process_time()
    found = await compare(cluster, declared, dry_run=False)
    took, spent = time.monotonic() - began, time.process_time() - cpu
    if found.checked != len(declared) or found.drifted or found.unjudged:
        raise Permanent(f"{found.checked} of {len(declared)} objects compared, {len(found.drifted)} of them drifted")
    return found.checked / took, found.checked / spent
