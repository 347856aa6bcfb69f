"""A real Prometheus writes into a real gateway; what is in the tables is what Prometheus itself says that it has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.gateway.service import run_gateway
from services.local.broker import LocalBroker
from services.local.ports import free
from services.recorder.store import ClickHouse
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import admin, make_consumer, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.prometheus import SENDS_2, Prometheus, find_prometheus, prometheus, version
from tests.recording import recorder, until
from tests.remote_write import double, integer, integer_sint, text, varint, zigzag

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
DELIMITED = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
SECRET = "the secret of a Prometheus"
V1, V2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"
OURS = "test_(steps_total|level|took_seconds_bucket)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def binary() -> Path:
    found = await find_prometheus()
    if found is None:
        pytest.skip("no Prometheus on this machine, and neither apt-get nor dpkg-deb to get Debian's package with")
    return found


class Exporter:
    """What is scraped: a counter, a gauge with two series, one of which ends when it is told to, and histograms."""

    def __init__(self) -> None:
        self.steps = 0
        self.both = True

    async def metrics(self, request: web.Request) -> web.Response:
        self.steps += 1
        lines = [
            "# HELP test_steps_total How often it was asked.", "# TYPE test_steps_total counter",
            f"test_steps_total {self.steps}", "# TYPE test_level gauge",
            f'test_level{{room="küche",text="a\\"b\\\\c\\nd"}} {self.steps / 3}',
            *([f'test_level{{room="cellar"}} {-self.steps}'] if self.both else []),
            "# TYPE test_took_seconds histogram", f'test_took_seconds_bucket{{le="0.1"}} {self.steps // 2}',
            f'test_took_seconds_bucket{{le="+Inf"}} {self.steps}', f"test_took_seconds_count {self.steps}",
            "test_took_seconds_sum NaN", "",
        ]  # fmt: skip
        return web.Response(text="\n".join(lines), content_type="text/plain")

    async def native(self, request: web.Request) -> web.Response:
        """A native histogram that stays as it is; they are exposed as messages alone."""
        spans = b"".join(text(12, integer_sint(1, offset) + integer(2, length)) for offset, length in ((-1, 2), (3, 1)))
        deltas = text(13, b"".join(map(zigzag, (2, 1, -2))))
        told = integer(1, 6) + double(2, 7.5) + integer_sint(5, 3) + double(6, 1e-128) + spans + deltas
        family = text(1, "test_native") + integer(3, 4) + text(4, text(7, told))
        return web.Response(body=varint(len(family)) + family, headers={"content-type": DELIMITED})

    @asynccontextmanager
    async def serving(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
        """The address of one of its pages."""
        app = web.Application()
        app.router.add_get("/metrics", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@dataclass
class Stage:
    """Everything that runs."""

    prometheus: Prometheus
    exporter: Exporter
    store: ClickHouse
    metrics: Metrics

    async def theirs(self) -> dict[tuple[str, ...], list[tuple[int, float]]]:
        """Every sample that Prometheus has, by series: milliseconds and values. Markers are not shown by it."""
        answer = await self.prometheus.ask(f'{{__name__=~"{OURS}"}}[10m]')
        return {
            _key(one["metric"].pop("__name__"), one["metric"]): [
                (round(float(time) * 1000), float(value)) for time, value in one["values"]
            ]
            for one in answer
        }

    async def ours(self) -> dict[tuple[str, ...], list[tuple[int, float]]]:
        """Every sample that is in the tables."""
        rows = await self.store.query(
            "SELECT name, labels, arraySort(groupArray((toUnixTimestamp64Milli(time), value))) FROM labelled_samples "
            f"WHERE match(name, '^{OURS}$') GROUP BY name, labels"
        )
        return {_key(name, labels): [tuple(pair) for pair in pairs] for name, labels, pairs in rows}

    async def until_same(self) -> None:
        """Wait until the tables have everything that Prometheus has by now, and nothing else up to there.

        However long that takes: it goes on scraping, so what it has later is never asked for.
        """
        theirs = await self.theirs()
        assert theirs

        async def same() -> bool:
            ours = await self.ours()
            return all(ours.get(key, [])[: len(samples)] == samples for key, samples in theirs.items())

        await until(same)

    async def count(self, sql: str) -> int:
        return int((await self.store.query(sql))[0][0])


def _key(name: str, labels: dict[str, Any]) -> tuple[str, ...]:
    return (name, *(part for pair in sorted(labels.items()) for part in pair))


async def empty(bootstrap: str) -> None:
    """Take from the broker what another Prometheus has written."""
    places = [TopicPartition(str(TopicName.SAMPLES), number) for number in (0, 1)]
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        ends = await consumer.end_offsets(places)
    async with started(admin(bootstrap)) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items() if end})


@pytest.fixture
async def stage(
    binary: Path, own_broker: LocalBroker, store: ClickHouse, settings: Settings, tmp_path: Path, message: str
) -> AsyncIterator[Stage]:
    """Exporter, Prometheus, gateway, broker, recorder and engine, all real; `message` is what Prometheus writes."""
    if message != V1 and await version(binary) < SENDS_2:
        pytest.skip("this Prometheus is too old to send remote write 2.0")
    await empty(own_broker.bootstrap)
    (port,) = free(1)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "metrics.prod").write_text(SECRET, encoding="utf-8")
    (tmp_path / "prometheus").mkdir()
    given = settings.model_copy(update={"gateway_listen": f"127.0.0.1:{port}", "gateway_secrets": tmp_path / "secrets"})
    write = {
        "url": f"http://127.0.0.1:{port}/v1/metrics/write/prod",
        "authorization": {"credentials": SECRET},
        "send_exemplars": True,
        "send_native_histograms": True,
        **({"metadata_config": {"send_interval": "1s"}} if message == V1 else {"protobuf_message": message}),
        "queue_config": {"batch_send_deadline": "500ms", "max_backoff": "500ms"},
    }
    exporter, clock, metrics, stop = Exporter(), SystemClock(), Metrics("gateway"), asyncio.Event()
    gateway = run_gateway(
        given, clock=clock, health=Health("gateway", clock), metrics=metrics, log=get_log("gateway"), stop=stop
    )
    async with AsyncExitStack() as stack:
        pages = (exporter.metrics, exporter.native)
        targets = [await stack.enter_async_context(exporter.serving(page)) for page in pages]
        await stack.enter_async_context(background(gateway))
        await stack.enter_async_context(recorder(given, store))
        running = await stack.enter_async_context(prometheus(binary, tmp_path / "prometheus", targets, write))
        yield Stage(running, exporter, store, metrics)


@pytest.mark.parametrize("message", [pytest.param(V1, id="1.0"), pytest.param(V2, id="2.0")])
async def test_what_prometheus_has_is_here(stage: Stage, own_broker: LocalBroker) -> None:
    """Every sample of every series by time and value; an ended series by its marker; families; nothing is missing
    after the broker was away."""

    async def some() -> bool:
        return stage.exporter.steps > 5

    await until(some)
    await stage.until_same()
    stage.exporter.both = False
    await until(lambda: stage.count("SELECT count() FROM samples WHERE name = 'test_level' AND stale"))
    now = await stage.store.query("SELECT labels['room'] FROM current_samples WHERE name = 'test_level'")
    assert now == [("küche",)]

    await own_broker.kill()
    steps = stage.exporter.steps

    async def refused() -> bool:
        away = stage.metrics.registry.get_sample_value("setpoint_ingests_total", {"result": "broker-away"})
        return bool(away) and stage.exporter.steps > steps + 5

    await until(refused)
    await own_broker.start()

    async def caught_up() -> bool:
        return await stage.count("SELECT toInt64(max(value)) FROM samples WHERE name = 'test_steps_total'") > steps + 5

    await until(caught_up)
    await stage.until_same()
    doubled = "SELECT count() - uniqExact(series_id, time) FROM (SELECT series_id, time FROM samples FINAL)"
    assert await stage.count(doubled) == 0
    rows = await stage.store.query(
        "SELECT type, help FROM metric_families FINAL WHERE name = 'test_steps_total' AND sender = 'prod'"
    )
    assert rows == [("counter", "How often it was asked.")]
    assert await stage.count("SELECT count() FROM labelled_samples WHERE name = 'up' AND value = 1") > 5
    native = "SELECT DISTINCT count, sum, schema, positive, negative FROM histograms WHERE name = 'test_native'"
    assert await stage.store.query(f"{native} AND NOT stale") == [(6.0, 7.5, 3, {-1: 2.0, 0: 3.0, 4: 1.0}, {})]
