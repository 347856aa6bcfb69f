"""A storm: a thousand objects drifted within a second by another client; how fast, and at what cost, all are right.

Counted from the first PATCH sent to the last object seen right by the independent watch. The CPU is that of all
services, recorder included, until every drift is told to be over.
"""

import asyncio
import time

from benchmarks.breakdown import percentile
from benchmarks.drifts import Drift, Return, drift_of
from benchmarks.figures import Figure, figure
from benchmarks.independent import Independent, Seen, watching
from benchmarks.objects import mixture, send
from benchmarks.stage import SERVICES, Stage, open_stage
from benchmarks.topics import CLEARED, Told, reading
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("storm_corrections_per_s", "storm_cpu_per_correction")
OBJECTS = 1000
DEPLOYMENTS = 0.1
WARM_UP = 200  # drifts before, which do not count: the broker's Java is compiled as it is used
AT_ONCE = 48
WITHIN_S = 180.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and how the storm went as text."""
    objects = list(mixture(OBJECTS + WARM_UP, deployments=DEPLOYMENTS))
    drifts = [drift_of(obj, number) for number, obj in enumerate(objects)]
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        stage.declare(objects)
        await stage.start(*SERVICES)
        async with watching(stage.api) as independent, reading(stage.broker.bootstrap, at_once=False) as told:
            await storm(stage, independent, told, drifts[:WARM_UP])
            await stage.calm()
            return await _measured(stage, independent, told, drifts[WARM_UP:])


async def _measured(
    stage: Stage, independent: Independent, told: Told, drifts: list[Drift]
) -> tuple[list[Figure], str]:
    own, parts = stage.usage(), stage.parts_usage()
    before, parts_before = own.by_name(), parts.by_name()
    began = time.time()
    patched, seen = await storm(stage, independent, told, drifts)
    cpu = {name: spent - before[name] for name, spent in own.by_name().items()}
    parts_cpu = {name: spent - parts_before[name] for name, spent in parts.by_name().items()}
    took = [one.at - began for one in seen]
    count = len(drifts)
    figures = [
        figure("storm_corrections_per_s", count / max(took), count),
        figure("storm_cpu_per_correction", sum(cpu.values()) / count, count),
    ]
    words = (
        f"{count} PATCHes took {patched:.2f} s; right after p50 {percentile(took, 50):.2f} s, "
        f"p99 {percentile(took, 99):.2f} s, last {max(took):.2f} s\n"
        f"CPU ms a correction: {_a_correction(cpu, count)}; of the parts: {_a_correction(parts_cpu, count)}"
    )
    return figures, words


async def storm(stage: Stage, independent: Independent, told: Told, drifts: list[Drift]) -> tuple[float, list[Seen]]:
    """Cause them all; how long that took, and when each was right again. Permanent where one is not in time."""
    waiting = [independent.expect(drift.name, Return(drift)) for drift in drifts]
    names = {drift.name[1] for drift in drifts}
    began, source = time.time(), iter(drifts)

    async def worker() -> None:
        for drift in source:
            await send(stage.api, "PATCH", drift.path, drift.body, drift.content_type)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    patched = time.time() - began
    try:
        async with asyncio.timeout(WITHIN_S):
            seen = await asyncio.gather(*waiting)
            await told.over(names)
    except TimeoutError as error:
        left = sorted(names - told.events[CLEARED].keys())
        raise Permanent(f"after {WITHIN_S:g} s {len(left)} drifts were still open, {left[:3]} among them") from error
    return patched, seen


def _a_correction(cpu: dict[str, float], count: int) -> str:
    return ", ".join(f"{name} {spent * 1000 / count:.1f}" for name, spent in cpu.items())
