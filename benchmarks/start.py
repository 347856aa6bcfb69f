"""A watcher's start on 50 000 declared objects: seconds until it is ready, and its memory at the peak and at rest.

From the start of the process: it reads the manifests from files, joins its group, restores, lists and compares. Beside
it stands the least that any client can do in the same run: list the same objects in pages, parse and keep them.
"""

import asyncio
import os
import time
from pathlib import Path

from benchmarks import plain
from benchmarks.figures import Figure, figure
from benchmarks.objects import mixture
from benchmarks.peers import memories
from benchmarks.stage import Stage, open_stage
from services.kube.declaration.baselines import load_baselines
from services.local.prepare import Parts

NAMES = ("start_50000_s", "start_50000_peak_rss", "start_50000_steady_rss")
OBJECTS = int(os.environ.get("START_OBJECTS", "50000"))
DEPLOYMENTS = 0.2
REST_S = 15.0
WITHIN_S = 900.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and the comparison as text."""
    objects = list(mixture(OBJECTS, deployments=DEPLOYMENTS))
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        stage.declare(objects)
        del objects
        began = time.monotonic()
        await asyncio.to_thread(load_baselines, stage.files / "baselines.yaml")
        reading = time.monotonic() - began
        simple = await plain.in_its_own_process(
            stage.plane.url, stage.plane.admin_token, stage.plane.ca_file, stage.folder
        )
        await stage.calm()
        began = time.monotonic()
        await stage.start("watcher", within=WITHIN_S)
        took, spent = time.monotonic() - began, stage.usage().cpu()
        peak = high_water(stage)
        await asyncio.sleep(REST_S)
        steady = stage.usage().rss()["watcher"] / 2**20
    words = (
        f"{took:.1f} s and {spent:.1f} CPU s, of which reading the manifests alone takes {reading:.1f} s\n"
        f"a plain list of the same {simple['objects']:.0f} objects takes {simple['seconds']:.1f} s, "
        f"{simple['cpu']:.1f} CPU s: {took / simple['seconds']:.2f} times that\n"
        f"memory {peak:.0f} MiB at the peak, {steady:.0f} at rest; all objects kept as they come take "
        f"{simple['mib']:.0f} MiB: {steady / simple['mib']:.2f} of that\n{memories()}"
    )
    figures = [
        figure("start_50000_s", took, OBJECTS),
        figure("start_50000_peak_rss", peak, OBJECTS),
        figure("start_50000_steady_rss", steady, OBJECTS),
    ]
    return figures, words


def high_water(stage: Stage) -> float:
    """The most that the watcher has held so far, in MiB."""
    status = Path(f"/proc/{stage.services['watcher'].child.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
