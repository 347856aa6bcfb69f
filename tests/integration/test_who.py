"""Who removed a field, as far as an object's managers prove it: on a real API server, between two looks."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import DriftDetected, FieldChange
from services.kube.api.errors import Conflict
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from services.watcher import service
from tests.fakes import eventually
from tests.watching import (
    MERGE,
    Client,
    Files,
    Heard,
    client_of,
    config_map,
    deployment,
    hearing,
    random_name,
    watching,
)

pytestmark = pytest.mark.integration


class World:
    """One cluster's name, one namespace, and what is said of it."""

    def __init__(
        self, client: Client, plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, folder: Path
    ) -> None:
        self.client, self.plane, self.broker, self.heard = client, plane, broker, heard
        self.namespace, self.files, self.cluster = namespace, Files(folder), random_name("who")

    @asynccontextmanager
    async def watched(self, obj: Object) -> AsyncIterator[None]:
        """What happens next is of another second: managedFields knows nothing finer of one manager's writes."""
        await self.client.apply(obj)
        applied = int(time.time())
        async with watching(self.plane, self.broker.bootstrap, self.files.write(obj), self.cluster) as watcher:
            await watcher.ready()
            await eventually(lambda: int(time.time()) > applied)
            yield

    async def put(self, obj: Object, change: Any, manager: str) -> None:
        """What an editor does: read, change, write the whole; once more where a controller wrote in between."""
        written = False
        while not written:
            live = await self.client.get(obj)
            assert live
            live["metadata"].pop("managedFields")
            change(live)
            with suppress(Conflict):
                await self.client._send("PUT", self.client.path(obj), {"fieldManager": manager}, live)
                written = True

    def drifts(self) -> list[DriftDetected]:
        """What was said of the test's object; of its neighbours nothing matters here."""
        found = [event.data for event in self.heard.drifts(self.cluster) if event.data.target.name != "another"]
        return [drift for drift in found if isinstance(drift, DriftDetected)]

    async def removed(self, path: str) -> FieldChange:
        """The removal at a path, as the newest event of the object has it."""

        def found() -> FieldChange | None:
            fields = self.drifts()[-1].fields if self.drifts() else ()
            return next((change for change in fields if change.path == path and change.kind == "removed"), None)

        change: FieldChange = await eventually(found)
        return change


@pytest_asyncio.fixture(loop_scope="session")
async def world(control_plane: LocalControlPlane, broker: LocalBroker, tmp_path: Path) -> AsyncIterator[World]:
    await ensure_topics(Settings(kafka=broker.bootstrap))
    async with client_of(control_plane) as client, hearing(broker.bootstrap) as heard:
        yield World(client, control_plane, broker, heard, await client.namespace(), tmp_path)


async def test_who_removes_and_writes_at_once_is_the_remover(world: World) -> None:
    """An editor that takes one key away and changes another is the only one whose entry moved."""
    obj = config_map(world.namespace, a="1", b="2")
    async with world.watched(obj):

        def edit(live: Object) -> None:
            live["data"] = {"b": "3"}

        await world.put(obj, edit, "kubectl-edit")
        change = await world.removed("/data/a")
        assert (change.manager, change.operation, change.desired, change.live) == ("kubectl-edit", "Update", "1", None)
        assert change.since is not None


async def test_an_apply_that_leaves_a_field_out_is_the_remover(world: World) -> None:
    """An apply's time moves also where it only takes away."""
    obj = config_map(world.namespace, a="1", b="2")
    async with world.watched(obj):
        await world.client.apply(config_map(world.namespace, b="2"))
        change = await world.removed("/data/a")
        assert (change.manager, change.operation) == ("deployer", "Apply")


@pytest.mark.parametrize(
    ("patch", "content"),
    [
        pytest.param({"data": {"a": None}}, MERGE, id="merge-patch"),
        pytest.param([{"op": "remove", "path": "/data/a"}], "application/json-patch+json", id="json-patch"),
    ],
)
async def test_a_removal_alone_leaves_no_trace_and_proves_nobody(world: World, patch: Any, content: str) -> None:
    """Not even where the remover has an entry already: the API server stamps it only for what it sets."""
    obj = config_map(world.namespace, a="1", b="2")
    await world.client.apply(obj)
    await world.client.patch(obj, {"metadata": {"labels": {"x": "y"}}}, "kubectl-edit")
    async with world.watched(obj):
        await world.client.patch(obj, patch, "kubectl-edit", content)
        change = await world.removed("/data/a")
        assert (change.manager, change.since) == (None, None)


async def test_a_status_that_moves_is_nobodys_removal(world: World) -> None:
    """A Deployment's controller reports at once after each change of its template."""
    obj = deployment(world.namespace)
    async with world.watched(obj):

        def edit(live: Object) -> None:
            live["spec"]["template"]["spec"]["containers"][0].pop("env")

        await world.put(obj, edit, "kubectl-edit")
        change = await world.removed("/spec/template/spec/containers/0/env")
        assert change.manager is None


async def test_a_known_remover_stays_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later looks prove nothing, and later writers have not removed it; neither makes the author another one."""
    monkeypatch.setattr(service, "REFRESH_S", 0.2)  # files are looked at more often
    obj = config_map(world.namespace, a="1", b="2", c="3")
    async with world.watched(obj):

        def edit(live: Object) -> None:
            live["data"] = {"b": "3", "c": "3"}

        await world.put(obj, edit, "kubectl-edit")
        first = await world.removed("/data/a")
        await world.client.patch(obj, {"data": {"c": "4"}}, "kubectl-patch")
        await eventually(lambda: len(world.drifts()[-1].fields) == 3)
        world.files.write(obj, config_map(world.namespace, "another"))  # everything is compared anew
        await eventually(lambda: world.heard.drifts(world.cluster, "another"))
        assert await world.removed("/data/a") == first
        assert [drift.update for drift in world.drifts()] == [0, 1]
