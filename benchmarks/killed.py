"""300 alerts at 100/s, gateway and reconciler killed with SIGKILL in the middle: how many are lost, how many doubled.

Both run as the processes that an operator starts, and are started anew at once. Lost: answered with 202, and without a
decision or without its effect on the pod. Doubled: more than one action for one alert, told or done; what was done is
counted from the pods themselves, by the mark that each action leaves. Every alert has a sender of its own, which sends
again only what was not answered with 202, so that the rate holds while nobody answers.
"""

import asyncio
import time
from collections import defaultdict

import orjson
from aiokafka import AIOKafkaConsumer

from benchmarks import peers
from benchmarks.alerting import PODS, Line, alert, create_pods, pod_name, prepare
from benchmarks.figures import Figure, figure
from benchmarks.independent import Independent, watching
from benchmarks.stage import Stage, open_stage
from schemas.events import TYPES, ActionStarted, DecisionMade
from schemas.topics import TopicName
from services.kube.objects import Object
from services.local.prepare import Parts
from services.reconciler.actions.operation import MARK
from services.runtime.kafka import make_consumer, started
from services.runtime.tasks import background

NAMES = ("alerts_lost", "alerts_doubled")
ALERTS, RATE = 300, 100.0
KILL_AFTER_S = 1.5
VICTIMS = ("gateway", "reconciler")
WITHIN_S = 120.0
QUIET_S = 5.0
AGAIN_S = 0.2


class Told:
    """What was decided and begun, by the name of the pod that the alert is about."""

    def __init__(self) -> None:
        self.decided: set[str] = set()
        self.begun: defaultdict[str, set[str]] = defaultdict(set)

    def take(self, value: bytes | None) -> None:
        """One record."""
        event = orjson.loads(value) if value else {}
        pod = str(event.get("subject", "")).rpartition("/")[2]
        if event.get("type") == TYPES[DecisionMade]:
            self.decided.add(pod)
        elif event.get("type") == TYPES[ActionStarted]:
            self.begun[pod].add(event["data"]["action_id"])


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and how it went as text."""
    async with open_stage(parts) as stage:
        port = prepare(stage)
        await create_pods(stage.api, range(ALERTS))
        await stage.start(*VICTIMS)
        consumer = make_consumer(
            stage.broker.bootstrap, TopicName.DECISIONS, TopicName.ACTIONS, client_id="setpoint-bench"
        )
        told, marks = Told(), defaultdict[str, set[str]](set)
        async with started(consumer), background(_read(consumer, told)), watching(stage.api, {"Pod": PODS}) as watch:
            for number in range(ALERTS):
                _follow(watch, number, marks)
            again = await _stream(stage, port)
            took = await _until_done(told, marks)
        pods = [pod_name(number) for number in range(ALERTS)]
        decided, done = sum(pod in told.decided for pod in pods), sum(bool(marks[pod]) for pod in pods)
        lost = sum(pod not in told.decided or not marks[pod] for pod in pods)
        doubled = sum(max(len(told.begun[pod]), len(marks[pod])) > 1 for pod in pods)
    words = (
        f"{ALERTS} alerts taken, {again} of them not at the first try; {decided} decided and {done} acted on, the last "
        f"{took:.1f} s after the last alert\n{peers.talon_losses()}"
    )
    return [figure("alerts_lost", lost, ALERTS), figure("alerts_doubled", doubled, ALERTS)], words


async def _stream(stage: Stage, port: int) -> int:
    """Send all at the rate, and kill in the middle; how many had to be sent again."""
    began = time.monotonic()
    killing = asyncio.create_task(_kill(stage))
    sending = []
    for number in range(ALERTS):
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        sending.append(asyncio.create_task(_send(port, alert(number))))
    again = sum(await asyncio.gather(*sending))
    await killing
    return again


async def _kill(stage: Stage) -> None:
    await asyncio.sleep(KILL_AFTER_S)
    await stage.kill(*VICTIMS)


async def _send(port: int, body: bytes) -> bool:
    """Until it is taken; whether that was not at the first try."""
    line = Line(port)
    try:
        if await line.post(body) == 202:
            return False
    except ConnectionError:
        pass
    finally:
        line.close()
    await line.until_taken(body, pause=AGAIN_S)
    line.close()
    return True


def _follow(watch: Independent, number: int, marks: dict[str, set[str]]) -> None:
    """Keep every mark that the pod ever has. The expectation never comes true: it looks at every state."""

    def look(obj: Object) -> bool:
        mark = (obj["metadata"].get("annotations") or {}).get(MARK)
        if mark:
            marks[pod_name(number)].add(mark)
        return False

    watch.expect(("Pod", pod_name(number)), look)


async def _until_done(told: Told, marks: dict[str, set[str]]) -> float:
    """Wait until every pod is marked, or for as long as is reasonable, and a while for what comes too much."""
    began = time.monotonic()
    while time.monotonic() - began < WITHIN_S and sum(map(bool, marks.values())) < ALERTS:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    await asyncio.sleep(QUIET_S)
    return took


async def _read(consumer: AIOKafkaConsumer, told: Told) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                told.take(record.value)
