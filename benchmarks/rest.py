"""What the services cost while nothing happens: their CPU over half a minute, with thousands of watched objects."""

import asyncio
import time

from benchmarks.figures import Figure, figure
from benchmarks.objects import mixture
from benchmarks.stage import SERVICES, open_stage
from services.local.prepare import Parts

NAMES = ("rest_cpu_percent",)
OBJECTS = 5000
DEPLOYMENTS = 0.2
SETTLE_S = 10.0
SECONDS = 30.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figure, and each service's share as text."""
    objects = list(mixture(OBJECTS, deployments=DEPLOYMENTS))
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        stage.declare(objects)
        await stage.start(*SERVICES)
        await stage.calm()
        await asyncio.sleep(SETTLE_S)
        usage = stage.usage()
        before, began = usage.by_name(), time.monotonic()
        await asyncio.sleep(SECONDS)
        seconds = time.monotonic() - began
        percent = {name: (spent - before[name]) / seconds * 100 for name, spent in usage.by_name().items()}
        resident = {name: size / 2**20 for name, size in usage.rss().items()}
    words = ", ".join(f"{name} {share:.2f} % and {resident[name]:.0f} MiB" for name, share in percent.items())
    return [figure("rest_cpu_percent", sum(percent.values()), OBJECTS)], words
