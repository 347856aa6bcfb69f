"""The gateway alone on one core: alerts a second with all replicas' acknowledgement, and p99 at 1 000 a second.

One alert a request, as Falco sends them. The broker and the sender have the other cores. Latencies are counted from
the moment at which a request was due, so that a gateway that falls behind cannot hide it.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil

from benchmarks.alerting import UNBOUND, Line, alert, gateway_environ, lines
from benchmarks.breakdown import percentile
from benchmarks.figures import Figure, figure
from benchmarks.stage import ROOT
from services.local.broker import LocalBroker
from services.local.ports import free
from services.local.prepare import Parts
from services.local.processes import Child, start_child
from services.runtime.errors import Permanent
from services.runtime.kafka import ensure_topics
from services.runtime.settings import load_settings

NAMES = ("gateway_alerts_per_s", "gateway_p99")
MOST = 30_000
WARM_UP = 3000
AT_ONCE = 64
RATE, SECONDS = 1000.0, 15.0
READY_WITHIN_S = 60.0


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and what they cost as text."""
    async with gateway_alone(parts) as (child, port, _), lines(port, AT_ONCE) as opened:
        process = psutil.Process(child.pid)
        await saturate(opened, [alert(number) for number in range(WARM_UP)])
        bodies = [alert(number) for number in range(WARM_UP, WARM_UP + MOST)]
        before, began = _cpu(process), time.monotonic()
        await saturate(opened, bodies)
        took, cpu = time.monotonic() - began, _cpu(process) - before
        spent = await paced(opened, [alert(number) for number in range(int(RATE * SECONDS))])
    words = (
        f"{MOST} alerts in {took:.2f} s, in which the gateway had {cpu / took:.0%} of its core: {MOST / cpu:.0f} a CPU "
        f"second, {cpu / MOST * 1e6:.0f} µs each; "
        f"at {RATE:.0f}/s p50 {percentile(spent, 50):.1f} ms, p99 {percentile(spent, 99):.1f} ms, "
        f"most {max(spent):.1f} ms"
    )
    figures = [
        figure("gateway_alerts_per_s", MOST / took, MOST),
        figure("gateway_p99", percentile(spent, 99), len(spent)),
    ]
    return figures, words


async def saturate(opened: list[Line], bodies: list[bytes]) -> None:
    """Send as fast as it goes. Permanent for any answer but 202."""
    waiting = iter(bodies)

    async def worker(line: Line) -> None:
        for body in waiting:
            _check(await line.post(body))

    await asyncio.gather(*map(worker, opened))


async def paced(opened: list[Line], bodies: list[bytes]) -> list[float]:
    """Send at the rate; milliseconds from when each was due to its answer."""
    free_lines: asyncio.Queue[Line] = asyncio.Queue()
    for line in opened:
        free_lines.put_nowait(line)
    spent: list[float] = []

    async def one(body: bytes, due: float) -> None:
        line = await free_lines.get()
        _check(await line.post(body))
        spent.append((time.monotonic() - due) * 1000)
        free_lines.put_nowait(line)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, body in enumerate(bodies):
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(one(body, due))
    return spent


def _check(status: int) -> None:
    if status != 202:
        raise Permanent(f"an alert was answered {status}")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@asynccontextmanager
async def gateway_alone(parts: Parts) -> AsyncIterator[tuple[Child, int, str]]:
    """A gateway on the first core over a broker of its own: its process, its port, and the broker's address."""
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as name:
        folder = Path(name)
        broker = LocalBroker(folder, parts.kafka.jars, parts.kafka.java)
        try:
            await broker.start()
            await ensure_topics(load_settings(kafka=broker.bootstrap))
            port, health = free(2)
            environ = UNBOUND | gateway_environ(folder, port)
            options = ["--kafka", broker.bootstrap, "--http-port", str(health)]
            command = [sys.executable, "-m", "services.cli.main", "run", "gateway", *options]
            child = start_child("gateway", command, folder / "gateway.log", cwd=ROOT, environ=environ)
            try:
                await _ready(child, health)
                _apart(child, broker)
                yield child, port, broker.bootstrap
            finally:
                await child.stop(grace=20.0)
        finally:
            await broker.stop()


def _apart(child: Child, broker: LocalBroker) -> None:
    """The gateway has the first core for itself, as far as this benchmark goes."""
    others = sorted(os.sched_getaffinity(0))[1:]
    psutil.Process(child.pid).cpu_affinity([min(os.sched_getaffinity(0))])
    if others and broker.pid:
        psutil.Process(broker.pid).cpu_affinity(others)


async def _ready(child: Child, port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            child.check()
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise Permanent(f"the gateway was not ready within {READY_WITHIN_S:g} s")
