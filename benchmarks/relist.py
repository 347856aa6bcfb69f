"""Back after a gap that no watch can close: 20 000 objects, an API server that has forgotten, and drifts meanwhile.

A gate shuts the watcher off, objects are changed and deleted, the API server is killed and started again, so that it
answers 410 to every version from before; then the gate opens. Measured is the time from the watcher's first connection
until it has told the last of these drifts to the broker. Beside it: a plain list of the same objects in the same run,
which is what has to be read at least.
"""

import asyncio
import os
import time
from collections.abc import Iterable

from benchmarks import plain
from benchmarks.drifts import drift_of
from benchmarks.figures import Figure, figure
from benchmarks.gate import Gate, gate
from benchmarks.objects import AT_ONCE, COLLECTIONS, mixture, send
from benchmarks.peers import rates
from benchmarks.stage import Stage, open_stage
from schemas.events import DriftDetected, parse_event
from schemas.topics import TopicName
from services.kube.objects import Object
from services.local.credentials import kubeconfig, write_private
from services.local.prepare import Parts
from services.runtime.errors import Permanent
from services.runtime.kafka import make_consumer, started

NAMES = ("relist_20000_s",)
OBJECTS = int(os.environ.get("RELIST_OBJECTS", "20000"))
DEPLOYMENTS = 0.2
CHANGED, DELETED = 100, 20
WITHIN_S = 180.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figure, and the comparison as text."""
    objects = list(mixture(OBJECTS, deployments=DEPLOYMENTS))
    async with open_stage(parts) as stage:
        await stage.populate(objects)
        stage.declare(objects)
        touched = objects[:: len(objects) // (CHANGED + DELETED)][: CHANGED + DELETED]
        async with gate(int(stage.plane.url.rpartition(":")[2])) as (door, port):
            stage.kubeconfig = stage.folder / "through-the-gate"
            authority = stage.plane.ca_file.read_bytes()
            write_private(stage.kubeconfig, kubeconfig(f"https://127.0.0.1:{port}", authority, stage.plane.admin_token))
            await stage.start("watcher", within=600.0)
            await stage.calm()
            took = await gap(stage, door, touched)
        text = await stage.metrics("watcher")
        simple = await plain.in_its_own_process(
            stage.plane.url, stage.plane.admin_token, stage.plane.ca_file, stage.folder
        )
    expired = _counted(text, 'setpoint_watch_restarts_total{why="expired"}')
    if not expired:
        counted = "; ".join(line for line in text.splitlines() if line.startswith(("setpoint_watch_r", "setpoint_rel")))
        raise Permanent(f"the API server did not answer 410 to this watcher, so nothing was measured: {counted}")
    words = (
        f"{expired:.0f} watches were answered 410; {len(touched)} drifts from the gap were told {took:.2f} s after it\n"
        f"a plain list of the same objects takes {simple['seconds']:.2f} s: {took / simple['seconds']:.2f} times that\n"
        f"to compare everything anew, {rates()}"
    )
    return [figure("relist_20000_s", took, OBJECTS)], words


async def gap(stage: Stage, door: Gate, touched: list[Object]) -> float:
    """Seconds from the first connection after the gap until all of `touched` have been told."""
    wanted = {str(obj["metadata"]["name"]) for obj in touched}
    consumer = make_consumer(stage.broker.bootstrap, TopicName.DRIFT, client_id="bench", fetch_max_wait_ms=20)
    async with started(consumer):
        door.shut()
        await _touch(stage, touched)
        await stage.plane.kill_apiserver()  # and with it what it remembers of the time before
        await stage.plane.start_apiserver()
        door.open()
        async with asyncio.timeout(WITHIN_S):
            async for record in consumer:
                event = parse_event(record.value)
                if event and isinstance(event.data, DriftDetected):
                    wanted.discard(event.data.target.name)
                if not wanted:
                    break
    assert door.first is not None
    return time.monotonic() - door.first


async def _touch(stage: Stage, touched: Iterable[Object]) -> None:
    """Change the first ones and delete the rest, many at once."""
    waiting = iter(enumerate(touched))

    async def worker() -> None:
        for number, obj in waiting:
            if number < CHANGED:
                drift = drift_of(obj, number)
                await send(stage.api, "PATCH", drift.path, drift.body, drift.content_type)
            else:
                await send(stage.api, "DELETE", f"{COLLECTIONS[obj['kind']]}/{obj['metadata']['name']}", {})

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _counted(text: str, name: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)), 0.0)
