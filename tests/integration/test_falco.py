"""Falco's logs followed to the real broker, over restarts of either side: each alert once, none missing.

The pods are a real API server's; their logs come from an endpoint that speaks as it does, since kwok has no kubelet.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.kube.api.cluster import open_cluster
from services.kube.api.session import Session
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.runtime.kafka import admin, ensure_topics, shared_partitions, started
from services.runtime.settings import Settings
from services.runtime.tasks import background
from services.watcher.falco.follow import follow_falco
from services.watcher.falco.mark import open_mark
from tests.alerting import Bench, HeardAlerts, hearing_alerts
from tests.fakes import NOON, eventually
from tests.falco_logs import LogApi, alert, log_api, with_logs_elsewhere
from tests.integration.watcher_parts import client, name, namespace
from tests.watching import Client

__all__ = ["client", "name", "namespace"]
pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def logs() -> AsyncIterator[tuple[LogApi, Session]]:
    async with log_api() as found:
        yield found


@pytest.fixture
def api(logs: tuple[LogApi, Session]) -> LogApi:
    return logs[0]


@pytest_asyncio.fixture
async def bench(
    control_plane: LocalControlPlane, broker: LocalBroker, name: str, namespace: str, logs: tuple[LogApi, Session]
) -> AsyncIterator[Bench]:
    settings = Settings(kafka=broker.bootstrap, cluster=name, falco_namespace=namespace)
    await ensure_topics(settings)
    cluster = await open_cluster(control_plane.kubeconfig, CONTEXT, name)
    yield Bench(with_logs_elsewhere(cluster, logs[1]), settings)
    await cluster.close()


@pytest_asyncio.fixture
async def heard(broker: LocalBroker, name: str, bench: Bench) -> AsyncIterator[HeardAlerts]:
    async with hearing_alerts(broker.bootstrap, name) as listening:
        yield listening


def numbers(heard: HeardAlerts) -> list[Any]:
    """Which alerts were told, in their order."""
    return [one.data.values["proc.pid"] for one in heard.events]


def write(api: LogApi, *alerts: int, name: str = "falco-1") -> None:
    """Now, by the node's clock."""
    api.write(*map(alert, alerts), name=name, seconds=(datetime.now(UTC) - NOON).total_seconds())


async def falco(client: Client, api: LogApi, namespace: str, name: str = "falco-1") -> Object:
    """A pod as Falco's chart makes it, which runs."""
    api.start(name)
    labels = {"app.kubernetes.io/name": "falco"}
    container = {"name": "falco", "image": "docker.io/falcosecurity/falco:0.44.1"}
    return await client.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    })  # fmt: skip


async def test_alerts_of_all_pods_are_told_as_they_come(
    client: Client, api: LogApi, bench: Bench, heard: HeardAlerts, namespace: str
) -> None:
    """Of pods that are there and of those that come; one that goes is let go."""
    await falco(client, api, namespace)
    async with bench.running(follow_falco) as run:
        write(api, 1)
        await eventually(lambda: numbers(heard) == [1])
        other = await falco(client, api, namespace, "falco-2")
        write(api, 2, name="falco-2")
        await eventually(lambda: numbers(heard) == [1, 2])
        assert run.value("followed_logs") == 2
        api.remove("falco-2")
        await client.delete(other)
        await eventually(lambda: run.value("followed_logs") == 1)
    [first, _] = heard.events
    assert (first.source, first.data.sender, first.data.source) == (
        "setpoint/watcher/falco",
        bench.cluster.name,
        "falco",
    )
    assert first.data.target.subject == f"{bench.cluster.name}/core/Pod/payments/api-1"


async def test_restarts_of_both_sides_lose_and_double_nothing(
    client: Client, api: LogApi, bench: Bench, heard: HeardAlerts, namespace: str
) -> None:
    """Alerts before, between and after; a container that was started anew while nobody read."""
    pod = await falco(client, api, namespace)
    write(api, 1, 2)
    async with bench.running(follow_falco):
        await eventually(lambda: numbers(heard) == [1, 2])
        api.cut()
        write(api, 3)
        await eventually(lambda: numbers(heard) == [1, 2, 3])
    write(api, 4)
    api.start()
    write(api, 5)
    running = {"name": "falco", "image": "x", "imageID": "", "ready": True, "restartCount": 1,
               "state": {"running": {"startedAt": "2026-11-24T12:00:00Z"}}}  # fmt: skip
    await client.cluster.session.request(
        "PATCH", client.path(pod) + "/status", body={"status": {"containerStatuses": [running]}},
        content_type="application/merge-patch+json",
    )  # fmt: skip
    async with bench.running(follow_falco) as run:
        await eventually(lambda: sorted(numbers(heard)) == [1, 2, 3, 4, 5])
        write(api, 6)
        await eventually(lambda: numbers(heard)[-1] == 6)
        assert (run.value("log_lines_total", result="repeat") or 0) >= 3
    assert sorted(numbers(heard)) == [1, 2, 3, 4, 5, 6]


async def test_the_mark_survives_on_the_broker(broker: LocalBroker, bench: Bench, name: str) -> None:
    """Up to when all was read is found again by whoever opens it next, and by nobody else."""
    async with started(admin(broker.bootstrap)) as client:
        count = await shared_partitions(client)
    at = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
    async with open_mark(broker.bootstrap, f"test-{name}", name, count) as (mark, was):
        assert was is None
        await mark.set(at - timedelta(seconds=1))
        await mark.set(at)
    async with open_mark(broker.bootstrap, f"test-{name}", name, count) as (_, was):
        assert was == at
    async with open_mark(broker.bootstrap, f"test-{name}-2", name, count) as (_, was):
        assert was is None


async def test_a_kill_in_the_middle_loses_nothing(
    client: Client, control_plane: LocalControlPlane, api: LogApi, logs: tuple[LogApi, Session], bench: Bench,
    heard: HeardAlerts, namespace: str,
) -> None:  # fmt: skip
    """A process that is killed twice under a stream of alerts, and what takes over: each is told, under one id."""
    await falco(client, api, namespace)
    settings = bench.settings.model_copy(update={"kubeconfig": control_plane.kubeconfig})
    given = settings.model_dump_json(include={"kafka", "cluster", "kubeconfig", "falco_namespace"})
    written: list[int] = []

    async def keep_writing() -> None:
        while True:
            written.append(len(written))
            write(api, written[-1])
            await asyncio.sleep(0.005)

    async with background(keep_writing()):
        for _ in range(2):
            enough = len(heard.events) + 50
            command = [sys.executable, "-m", "tests.integration.falco_process", given, logs[1].host]
            process = await asyncio.create_subprocess_exec(*command)
            try:
                await eventually(lambda enough=enough: len(heard.events) > enough, 120)  # type: ignore[misc]
            finally:
                process.kill()
                await process.wait()
    async with bench.running(follow_falco):
        await eventually(lambda: set(numbers(heard)) == set(written), 180)
    assert len({one.id for one in heard.events}) == len(written)
