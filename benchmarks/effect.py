"""Alert to effect, one at a time: from an alert sent to the gateway to its action seen on the API server by a watch.

Every step between is durable: the gateway's 202 means that all replicas have it, and the decision and the action's
start are on the broker before the cluster is touched. The pauses between alerts are random.
"""

import asyncio
import random
import time
from typing import NamedTuple

from benchmarks import peers
from benchmarks.alerting import PODS, Line, alert, create_pods, labelled, lines, pod_name, prepare
from benchmarks.breakdown import percentile
from benchmarks.figures import Figure, figure
from benchmarks.independent import Independent, watching
from benchmarks.stage import Stage, open_stage
from services.local.prepare import Parts
from services.runtime.errors import Permanent

NAMES = ("alert_to_effect_p50", "alert_to_effect_p99")
ALERTS = 200
WARM_UP = 20
WITHIN_S = 30.0
PAUSE_S = (0.15, 0.35)


class Course(NamedTuple):
    """One alert; Unix times of its request, of the answer 202, and of its effect."""

    sent: float
    taken: float
    seen: float


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, measured from the request on, and their parts as text."""
    async with open_stage(parts) as stage:
        port = prepare(stage)
        await create_pods(stage.api, range(ALERTS + WARM_UP))
        await stage.start("gateway", "reconciler")
        await stage.calm()
        async with watching(stage.api, {"Pod": PODS}) as independent, lines(port, 1) as (line,):
            courses = [await one(stage, independent, line, number) for number in range(ALERTS + WARM_UP)][WARM_UP:]
    spent = [(course.seen - course.sent) * 1000 for course in courses]
    taken = [(course.taken - course.sent) * 1000 for course in courses]
    after = [(course.seen - course.taken) * 1000 for course in courses]
    words = (
        f"until 202: p50 {percentile(taken, 50):.1f} ms, p99 {percentile(taken, 99):.1f} ms; from 202 to the effect: "
        f"p50 {percentile(after, 50):.1f} ms, p99 {percentile(after, 99):.1f} ms\n{peers.talon_latency()}"
    )
    return [figure(name, percentile(spent, int(name[-2:])), len(spent)) for name in NAMES], words


async def one(stage: Stage, independent: Independent, line: Line, number: int) -> Course:
    """Send one alert and wait for its effect. Permanent where it is not taken, or not acted on."""
    effect = independent.expect(("Pod", pod_name(number)), labelled(number))
    body, sent = alert(number), time.time()
    status = await line.post(body)
    taken = time.time()
    if status != 202:
        raise Permanent(f"alert {number} was answered {status}")
    try:
        async with asyncio.timeout(WITHIN_S):
            seen = await effect
    except TimeoutError as error:
        log = stage.folder / "logs" / "reconciler.log"
        raise Permanent(f"alert {number} had no effect within {WITHIN_S:g} s, see {log}") from error
    await asyncio.sleep(random.uniform(*PAUSE_S))
    return Course(sent, taken, seen.at)
