"""Prometheus remote write: samples a second that the gateway takes on one core, and bytes of a sample on disk.

A cluster's metrics as Prometheus sends them, 2000 samples a request: ten labels a series, every series every 15 s; a
third are counters under load, a third gauges that wander, a third does not change. The broker and the sender have the
other cores. The recorder then takes what came, and the tables of samples and series are weighed after their merges.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from cramjam import snappy

from benchmarks.alerting import Line
from benchmarks.figures import Figure, figure
from benchmarks.gateway import gateway_alone
from benchmarks.stage import CLUSTER
from services.gateway.remote_write_messages import classes
from services.local.prepare import Parts
from services.recorder.migrations import migrate
from services.recorder.service import run_recorder
from services.recorder.store import ClickHouse, open_store
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from services.runtime.health import Health
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import load_settings

NAMES = ("remote_write_samples_per_s", "bytes_per_sample")
SERIES, STEPS, STEP_MS = 10_000, 160, 15_000
A_REQUEST = 2000
WARM_UP = 10
"""Scrapes before the clock starts."""
SHARDS = 4
WEIGHED = "('samples', 'series')"


class WriteLine(Line):
    """A connection as one of Prometheus' shards has it."""

    head = (
        f"POST /v1/metrics/write/{CLUSTER} HTTP/1.1\r\ncontent-type: application/x-protobuf\r\n"
        "content-encoding: snappy\r\nx-prometheus-remote-write-version: 0.1.0\r\n"
    )


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and what they cost as text."""
    bodies = list(requests())
    first, rest = bodies[: WARM_UP * SERIES // A_REQUEST], bodies[WARM_UP * SERIES // A_REQUEST :]
    samples, bytes_sent = len(rest) * A_REQUEST, sum(map(len, rest))
    async with gateway_alone(parts) as (child, port, bootstrap):
        process = psutil.Process(child.pid)
        await write(port, first)
        before, began = _cpu(process), time.monotonic()
        await write(port, rest)
        took, cpu = time.monotonic() - began, _cpu(process) - before
        await child.stop(grace=20.0)
        size, recorded_in = await weigh(bootstrap, SERIES * STEPS)
    words = (
        f"{samples} samples in {took:.1f} s, in which the gateway had {cpu / took:.0%} of its core: "
        f"{samples / cpu:.0f} a CPU second, {cpu / samples * 1e6:.1f} µs each; {bytes_sent / samples:.1f} bytes a "
        f"sample on the wire; recorded at {SERIES * STEPS / recorded_in:.0f} samples/s; {SERIES} series of {STEPS} "
        f"samples weigh {size / 1e6:.1f} MB"
    )
    figures = [
        figure("remote_write_samples_per_s", samples / took, samples),
        figure("bytes_per_sample", size / (SERIES * STEPS), SERIES * STEPS),
    ]
    return figures, words


async def write(port: int, bodies: list[bytes]) -> None:
    """Send as fast as it goes, in shards. Permanent for any answer but 204."""
    waiting = iter(bodies)

    async def shard() -> None:
        line = WriteLine(port)
        for body in waiting:
            status = await line.post(body)
            if status != 204:
                raise Permanent(f"samples were answered {status}")
        line.close()

    await asyncio.gather(*(shard() for _ in range(SHARDS)))


def requests(seed: int = 1) -> Iterator[bytes]:
    """Every scrape of every series, oldest first, as compressed requests."""
    chance = random.Random(seed)
    known, values = [labels(number) for number in range(SERIES)], [chance.random() * 1000 for _ in range(SERIES)]
    request, series, sample = (classes()[name] for name in ("Request1", "Series1", "Sample"))
    begin = int(time.time() * 1000) - STEPS * STEP_MS
    for step in range(STEPS):
        moment = begin + step * STEP_MS
        for first in range(0, SERIES, A_REQUEST):
            made = []
            for number in range(first, first + A_REQUEST):
                values[number] = value = grown(number, values[number], chance)
                one = series(labels=known[number], samples=[sample(value=value, timestamp=moment)])
                made.append(one.SerializeToString())
            yield bytes(snappy.compress_raw(request(timeseries=made).SerializeToString()))


def grown(number: int, value: float, chance: random.Random) -> float:
    """A series' next value."""
    if number % 3 == 0:
        return float(round(value) + chance.randrange(200))
    return round(value + chance.gauss(0, 3), 2) if number % 3 == 1 else float(number % 7)


def labels(number: int) -> list[bytes]:
    """Of a series, as messages: one of forty metrics of one of 250 pods."""
    pod = number // 40
    told = {
        "__name__": f"container_measured_total_{number % 40:02}", "cluster": CLUSTER, "container": "api",
        "endpoint": "https-metrics", "id": f"/kubepods/burstable/pod{pod:032x}",
        "image": "registry.example.org/api:1.2", "instance": f"10.0.{pod % 20}.7:10250",
        "job": "kubelet", "namespace": f"team-{pod % 20}",
        "node": f"node-{pod % 20}", "pod": f"api-7d9f{pod:06x}",
    }  # fmt: skip
    label = classes()["Label"]
    return [label(name=name, value=value).SerializeToString() for name, value in told.items()]


async def weigh(bootstrap: str, count: int) -> tuple[int, float]:
    """Bytes on disk of what the recorder makes of it, and the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as name:
        store = await open_store(f"chdb://{Path(name) / 'engine'}")
        try:
            await migrate(store)
            took = await record(store, bootstrap, count)
            for table in ("samples", "series"):
                await store.command(f"OPTIMIZE TABLE {table} FINAL")
            sql = f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table IN {WEIGHED}"
            return int((await store.query(sql))[0][0]), took
        finally:
            await store.close()


async def record(store: ClickHouse, bootstrap: str, count: int) -> float:
    """Record until so many samples are there; seconds."""
    clock, stop = SystemClock(), asyncio.Event()
    settings = load_settings(kafka=bootstrap, clickhouse=store.url)
    task = asyncio.create_task(
        run_recorder(
            settings, clock=clock, health=Health("recorder", clock), metrics=Metrics("recorder"),
            log=get_log("recorder"), stop=stop, store=store,
        )
    )  # fmt: skip
    began = time.monotonic()
    while int((await store.query("SELECT sum(samples) FROM sample_blocks"))[0][0]) < count:
        if task.done():
            task.result()
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    stop.set()
    await task
    return took


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
