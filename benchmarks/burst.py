"""A burst: 500 alerts on 500 pods at once; how many actions a second until the last effect is seen by a watch."""

import asyncio
import os
import time

from benchmarks import peers
from benchmarks.alerting import PODS, Line, alert, create_pods, labelled, lines, pod_name, prepare
from benchmarks.breakdown import percentile
from benchmarks.figures import Figure, figure
from benchmarks.independent import Independent, Seen, watching
from benchmarks.stage import Stage, open_stage
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("alert_burst_actions_per_s",)
ALERTS = 500
WARM_UP = 100
AT_ONCE = 32
WITHIN_S = 180.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figure, and how the burst went as text."""
    async with open_stage(parts) as stage:
        port = prepare(stage)
        await create_pods(stage.api, range(ALERTS + WARM_UP))
        await stage.start("gateway", "reconciler")
        async with watching(stage.api, {"Pod": PODS}) as independent, lines(port, AT_ONCE) as opened:
            await burst(independent, opened, range(ALERTS, ALERTS + WARM_UP))
            await stage.calm()
            before, began = _cpu(stage), time.time()
            taken, seen = await burst(independent, opened, range(ALERTS))
            cpu = {name: spent - before[name] for name, spent in _cpu(stage).items()}
    took = [one.at - began for one in seen]
    had = sum(cpu.values()) / max(took) / (os.cpu_count() or 1)
    words = (
        f"all taken after {taken:.2f} s; effect p50 {percentile(took, 50):.2f} s, last {max(took):.2f} s; CPU ms an "
        f"action: {', '.join(f'{name} {spent * 1000 / ALERTS:.1f}' for name, spent in cpu.items())}; all of them had "
        f"{had:.0%} of the machine\n"
        f"{peers.talon_burst()}"
    )
    return [figure(NAMES[0], ALERTS / max(took), ALERTS)], words


async def burst(independent: Independent, opened: list[Line], numbers: range) -> tuple[float, list[Seen]]:
    """Send them all; seconds until the last was taken, and each effect. Permanent where one is not there in time."""
    waiting = [independent.expect(("Pod", pod_name(number)), labelled(number)) for number in numbers]
    bodies, began = iter([alert(number) for number in numbers]), time.time()

    async def worker(line: Line) -> None:
        for body in bodies:
            await line.until_taken(body)

    await asyncio.gather(*map(worker, opened))
    taken = time.time() - began
    try:
        async with asyncio.timeout(WITHIN_S):
            return taken, list(await asyncio.gather(*waiting))
    except TimeoutError as error:
        left = sum(not future.done() or future.cancelled() for future in waiting)
        raise Permanent(f"after {WITHIN_S:g} s {left} of {len(waiting)} alerts had no effect") from error


def _cpu(stage: Stage) -> dict[str, float]:
    """CPU seconds of services and parts, so far."""
    return {**stage.usage().by_name(), **stage.parts_usage().by_name()}
