"""Time to correct: single drifts on distinct objects, one after another, through the whole chain of real processes.

From another client's PATCH answered to the declared value seen again by an independent watch. The pauses between them
are random, so that nothing periodic is always met at the same point.
"""

import asyncio
import random
import time

from benchmarks.breakdown import Course, percentile, shown
from benchmarks.drifts import Drift, Return, drift_of
from benchmarks.figures import Figure, figure
from benchmarks.independent import Independent, watching
from benchmarks.objects import mixture, send
from benchmarks.stage import SERVICES, Stage, open_stage
from benchmarks.topics import Told, reading
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("time_to_correct_p50", "time_to_correct_p95", "time_to_correct_p99")
DRIFTS = 200
WARM_UP = 10  # not counted: first connections, first schemas
WITHIN_S = 30.0
PAUSE_S = (0.15, 0.35)


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and the breakdown as text."""
    objects = list(mixture(DRIFTS + WARM_UP, deployments=0.5, replicas=1))
    drifts = [drift_of(obj, number // 2) for number, obj in enumerate(objects)]
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        stage.declare(objects)
        await stage.start(*SERVICES)
        await stage.calm()
        async with watching(stage.api) as independent, reading(stage.broker.bootstrap, at_once=True) as told:
            courses = [await correct(stage, independent, told, drift) for drift in drifts][WARM_UP:]
    spent = [(course.right - course.answered) * 1000 for course in courses]
    figures = [figure(name, percentile(spent, int(name[-2:])), len(spent)) for name in NAMES]
    return figures, f"{shown(courses, told)}\n\n{by_kind(courses, drifts)}"


async def correct(stage: Stage, independent: Independent, told: Told, drift: Drift) -> Course:
    """Cause one drift and wait until it is over, told and done with. Permanent where it is not corrected."""
    back = Return(drift)
    seen = independent.expect(drift.name, back)
    await send(stage.api, "PATCH", drift.path, drift.body, drift.content_type)
    answered = time.time()
    name = drift.name[1]
    try:
        async with asyncio.timeout(WITHIN_S):
            right = await seen
            await told.over({name})
    except TimeoutError as error:
        raise Permanent(f"{drift.what} of {' '.join(drift.name)} was not corrected within {WITHIN_S:g} s") from error
    await asyncio.sleep(random.uniform(*PAUSE_S))
    return Course(name, answered, back.left_at or answered, right.at)


def by_kind(courses: list[Course], drifts: list[Drift]) -> str:
    """The median of each kind of drift."""
    kinds = {drift.name[1]: f"{drift.name[0]} {drift.what}" for drift in drifts}
    spent: dict[str, list[float]] = {}
    for course in courses:
        spent.setdefault(kinds[course.name], []).append((course.right - course.answered) * 1000)
    lines = (f"{kind}: p50 {percentile(found, 50):.0f} ms, max {max(found):.0f} ms, n {len(found)}"
             for kind, found in sorted(spent.items()))  # fmt: skip
    return "\n".join(lines)
