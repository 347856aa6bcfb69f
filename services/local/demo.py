"""Play all scenes on parts and services that already run, show them, and read the history back.

Called by the `demo` command once everything runs. The short scenes play one after another, so that their times are not
each other's; those that take long play at the same time, after them. The scenes on alerts come last, one by one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlencode

from services.local.alarms import callers
from services.local.alertplay import AlertResult, Players
from services.local.alertscenes import ALERT_SCENES
from services.local.controls import controls
from services.local.director import Director, Result
from services.local.display import Display
from services.local.report import Report
from services.local.scenes import SCENES, Scene
from services.local.sightings import listening
from services.local.stage import Stage, outsider
from services.local.summary import read_summary, split_url
from services.runtime.clock import Clock, SystemClock


async def play_all(
    stage: Stage,
    display: Display,
    *,
    scenes: Sequence[Scene] = SCENES,
    clock: Clock | None = None,
    since: float | None = None,
    kept: bool = False,
) -> bool:
    """Play `scenes`; True when every one ended as it states.

    `since` is the monotonic second from which the whole demo counts, `kept` whether all of it runs on afterwards.
    Raises Temporary where a part is away, Permanent where one refuses.
    """
    clock = clock or SystemClock()
    since = clock.monotonic() if since is None else since
    began = clock.now()
    display.open(scenes)
    results, alerts = await _play(stage, display, scenes, clock)
    summary = await read_summary(stage.clickhouse, stage.cluster, began, _ids(results, alerts), clock)
    report = Report(results, summary, commands(stage, results), clock.monotonic() - since, kept, alerts)
    display.finish(report)
    return report.ok


async def _play(
    stage: Stage, display: Display, scenes: Sequence[Scene], clock: Clock
) -> tuple[tuple[Result, ...], tuple[AlertResult, ...]]:
    async with AsyncExitStack() as stack:
        sightings = await stack.enter_async_context(listening(stage.kafka, clock))
        client = await stack.enter_async_context(outsider(stage, clock))
        writer = await stack.enter_async_context(controls(stage.kafka, clock))
        director = Director(client, sightings, writer, clock, display.happened)

        async def play(scene: Scene) -> Result:
            result = await director.play(scene)
            display.end(result)
            return result

        done = {scene.name: await play(scene) for scene in scenes if not scene.slow}
        slow = [scene.name for scene in scenes if scene.slow]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(play(scene)) for scene in scenes if scene.slow]
        done |= dict(zip(slow, (task.result() for task in tasks), strict=True))
        alerts: list[AlertResult] = []
        if stage.door:
            calls = await stack.enter_async_context(callers(stage.door, clock))
            players = Players(client, sightings, writer, calls, clock, display)
            for number, one in enumerate(ALERT_SCENES, len(scenes) + 1):
                display.alert_open(number, one)
                alerts.append(await players.play(one))
                display.alert_end(alerts[-1])
        return tuple(done[scene.name] for scene in scenes), tuple(alerts)


def _ids(results: Sequence[Result], alerts: Sequence[AlertResult]) -> frozenset[str]:
    """Of every decision and ended action that was seen."""
    decided = [decision for one in results for decision in one.seen.decisions]
    decided += [decision for one in alerts for decision in one.decisions]
    ended = [action for one in results for action in one.seen.finished] + [a for one in alerts for a in one.finished]
    return frozenset({one.decision_id for one in decided} | {one.action_id for one in ended})


def commands(stage: Stage, results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    """What to run to look further: (what it shows, command)."""
    subject = results[0].target.subject if results else f"{stage.cluster}/apps/Deployment/payments/payments-api"
    read = f"--clickhouse {stage.clickhouse}"
    address, database = split_url(stage.clickhouse)
    return (
        ("what is not as declared now", f"setpoint drift {read}"),
        ("everything that happened to one object", f"setpoint timeline {subject} {read}"),
        ("the cluster itself", f"{stage.kubectl} --kubeconfig {stage.kubeconfig} get deployments -A"),
        ("the history, in SQL", f"curl '{address}?{urlencode(database)}' --data-binary 'SHOW TABLES'"),
    )
