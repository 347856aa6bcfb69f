"""The watcher on a real broker and a real API server: what it says of drifts and changes, whatever happens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from schemas.events import ClearedReason, DriftCleared, DriftDetected
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.prepare import Parts
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from services.watcher import service
from tests.fakes import eventually
from tests.integration.watcher_parts import client, heard, name, namespace
from tests.kinds import until_gone, until_usable
from tests.watching import (
    Client,
    Files,
    Heard,
    client_of,
    config_map,
    deployment,
    hearing,
    random_name,
    reader_kubeconfig,
    watching,
)

__all__ = ["client", "heard", "name", "namespace"]
pytestmark = pytest.mark.integration


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def test_a_drift_lives_from_the_write_to_the_correction(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """Detected with field, values and manager; updated; cleared by whoever corrected it; all changes besides."""
    obj = deployment(namespace)
    await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(obj), name) as watcher:
        await watcher.ready()
        await client.patch(obj, {"spec": {"replicas": 5}}, "kubectl-scale")
        await eventually(lambda: heard.words(name) == ["detected"])
        await client.patch(obj, {"metadata": {"labels": {"by": "hand"}}}, "kubectl-label")
        await eventually(lambda: heard.words(name) == ["detected", "updated"])
        await client.apply(obj)
        await client.patch(obj, {"metadata": {"labels": {"by": None}}}, "kubectl-label")
        await eventually(lambda: heard.words(name)[-1] == "cleared")
    first, *_, last = heard.drifts(name)
    drift = first.data
    assert isinstance(drift, DriftDetected)
    assert (drift.baseline, drift.state, drift.engine, drift.reason) == ("base", "changed", "dry-run", None)
    [change] = drift.fields
    assert (change.path, change.desired, change.live, change.manager) == ("/spec/replicas", 2, 5, "kubectl-scale")
    assert drift.onset == change.since
    assert {event.data.drift_id for event in heard.drifts(name)} == {drift.drift_id}
    assert {event.correlationid for event in heard.drifts(name)} == {first.id}
    assert last.data.reason is ClearedReason.IN_SYNC

    def told() -> bool:
        paths = {(change.manager, path) for change in heard.changes(name) for path in change.paths}
        label = {("kubectl-label", "/metadata/labels/by"), ("kubectl-label", "/metadata/labels")}
        return ("kubectl-scale", "/spec/replicas") in paths and bool(label & paths)

    await eventually(told, what="both changes are heard, on a topic of their own")


async def test_deleted_and_made_again(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """Missing is a drift as well; what was never there is one from the start."""
    obj, never = config_map(namespace, a="1"), config_map(namespace, "never", a="1")
    stored = await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(obj, never), name) as watcher:
        await watcher.ready()
        await eventually(lambda: heard.words(name, "never") == ["detected"])
        await client.delete(obj)
        await eventually(lambda: heard.words(name, "settings") == ["detected"])
        await client.create({**obj, "data": {"a": "2"}})
        await eventually(lambda: heard.words(name, "settings") == ["detected", "updated"])
        await client.apply(obj)
        await client.apply(never)
        await eventually(lambda: heard.words(name, "settings") == ["detected", "updated", "cleared"])
        await eventually(lambda: heard.words(name, "never") == ["detected", "cleared"])
    missing, changed, _ = heard.drifts(name, "settings")
    assert (missing.data.state, missing.data.target.uid) == ("missing", stored["metadata"]["uid"])
    assert changed.data.state == "changed"
    await eventually(lambda: operations(heard, name, "never"), what="the change is heard, on a topic of its own")
    assert operations(heard, name, "never") == ["created"]
    assert operations(heard, name, "settings")[:2] == ["deleted", "created"]


def operations(heard: Heard, cluster: str, name: str) -> list[str]:
    """What was done to an object, as the changes have it."""
    return [change.operation for change in heard.changes(cluster, name)]


async def test_a_readers_token_is_enough(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, tmp_path: Path,
) -> None:  # fmt: skip
    """The same drifts by the local engine, which says so."""
    obj = deployment(namespace)
    await client.apply(obj)
    reader = await reader_kubeconfig(client, control_plane, namespace, tmp_path / "reader")
    async with watching(control_plane, broker.bootstrap, files.write(obj), name, reader) as watcher:
        await watcher.ready()
        await client.patch(obj, {"spec": {"replicas": 5, "paused": True}})
        await eventually(lambda: heard.words(name) == ["detected"])
        await client.apply(obj)
        await client.patch(obj, {"spec": {"paused": None}})
        await eventually(lambda: heard.words(name)[-1] == "cleared")
        assert b'setpoint_dry_runs_total{result="forbidden"} 0.0' not in watcher.metrics.text()
    drift = heard.drifts(name)[0].data
    assert (drift.engine, drift.reason) == ("local", "forbidden")
    assert [(change.path, change.kind) for change in drift.fields] == [
        ("/spec/replicas", "changed"), ("/spec/paused", "added"),
    ]  # fmt: skip


async def test_of_two_watchers_one_leads_and_the_other_takes_over(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """No drift is opened twice, ids stay as they are, and what happens meanwhile is not lost."""
    obj, other = config_map(namespace, a="1"), config_map(namespace, "other", a="1")
    await client.apply(obj)
    await client.apply(other)
    files.write(obj, other)
    async with watching(control_plane, broker.bootstrap, files, name) as one:
        await one.ready()
        async with watching(control_plane, broker.bootstrap, files, name) as two:
            await two.ready()
            await eventually(lambda: one.leads != two.leads and not one.health.problems(), what="exactly one leads")
            first, second = (one, two) if one.leads else (two, one)
            await client.patch(obj, {"data": {"a": "2"}})
            await eventually(lambda: heard.words(name) == ["detected"])
            first.task.cancel()
            await client.patch(other, {"data": {"a": "2"}})
            await eventually(lambda: second.leads)
            await eventually(lambda: heard.words(name, "other") == ["detected"])
            await client.apply(obj)
            await client.apply(other)
            await eventually(lambda: heard.words(name, "settings")[-1] == "cleared")
            await eventually(lambda: heard.words(name, "other")[-1] == "cleared")
    assert heard.words(name, "settings") == ["detected", "cleared"]
    assert heard.words(name, "other") == ["detected", "cleared"]
    assert len({event.data.drift_id for event in heard.drifts(name)}) == 2


async def test_a_restart_takes_up_what_was_told(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """Open drifts stay open with their ids; those that were corrected, deleted or no longer declared are said so."""
    objects = {word: config_map(namespace, word, a="1") for word in ("stays", "corrected", "deleted", "undeclared")}
    for obj in objects.values():
        await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(*objects.values()), name) as watcher:
        await watcher.ready()
        for obj in objects.values():
            await client.patch(obj, {"data": {"a": "2"}})
        await eventually(lambda: heard.words(name) == ["detected"] * 4)
    await client.apply(objects["corrected"])
    await client.delete(objects["deleted"])
    files.write(*(obj for word, obj in objects.items() if word != "undeclared"))
    async with watching(control_plane, broker.bootstrap, files, name) as watcher:
        await watcher.ready()
        await eventually(lambda: heard.words(name, "corrected") == ["detected", "cleared"])
        await eventually(lambda: heard.words(name, "deleted") == ["detected", "updated"])
        await eventually(lambda: heard.words(name, "undeclared") == ["detected", "cleared"])
        await client.apply(objects["stays"])
        await eventually(lambda: heard.words(name, "stays") == ["detected", "cleared"])
    assert len({event.data.drift_id for event in heard.drifts(name)}) == 4
    assert heard.drifts(name, "undeclared")[-1].data.reason is ClearedReason.NOT_DECLARED
    assert "created" not in [change.operation for change in heard.changes(name)]


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """Everything that is logged meanwhile."""
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_a_secrets_value_goes_nowhere(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, lines: list[Any],
) -> None:  # fmt: skip
    """Declared, live, added or deleted: no form of it is in any record or log line, and changed back is still seen."""
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    declared: Object = {**secret, "stringData": {"password": "hunter2-declared"}}
    await client.apply(declared)
    async with watching(control_plane, broker.bootstrap, files.write(declared), name) as watcher:
        await watcher.ready()
        await client.patch(secret, {"stringData": {"password": "hunter2-live", "more": "hunter2-added"}})
        await eventually(lambda: heard.words(name) == ["detected"])
        await client.patch(secret, {"stringData": {"password": "hunter2-declared"}})
        await eventually(lambda: heard.words(name) == ["detected", "updated"])
        await client.delete(secret)
        await eventually(lambda: heard.words(name) == ["detected", "updated", "updated"])
    first, second, _ = heard.drifts(name)
    kinds = [(change.kind, change.path) for change in first.data.fields]
    assert kinds == [("changed", "/data/password"), ("added", "/data/more")]
    assert first.data.fields[0].live != first.data.fields[0].desired
    assert [change.path for change in second.data.fields] == ["/data/more"]
    for trace in (b"hunter2", b"aHVudGVyM"):  # plain, and as its base64 begins
        assert not [value for value in heard.values if trace in value]
        assert trace.decode() not in repr(lines)


async def test_broken_files_keep_the_last_good_state(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """Readiness names file and line; drift is still seen; a good file is taken over, with what it declares anew."""
    obj, later = config_map(namespace, a="1"), deployment(namespace, "later")
    await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(obj), name) as watcher:
        await watcher.ready()
        good = files.baseline.read_text(encoding="utf-8")
        files.baseline.write_text(good.replace("source:", "sauce:"), encoding="utf-8")
        await eventually(lambda: "sauce" in watcher.health.problems().get("baselines", ""))
        assert f"{files.baseline}:" in watcher.health.problems()["baselines"]
        await client.patch(obj, {"data": {"a": "2"}})
        await eventually(lambda: heard.words(name, "settings") == ["detected"])
        files.write(config_map(namespace, a="2"), later)
        await eventually(lambda: heard.words(name, "settings") == ["detected", "cleared"])
        await eventually(lambda: heard.words(name, "later") == ["detected"])
        await watcher.ready()
        files.write(later)
        await eventually(lambda: b"setpoint_watched_kinds 1.0" in watcher.metrics.text())
        await client.patch(obj, {"data": {"a": "3"}})
        await client.apply(later)
        await eventually(lambda: heard.words(name, "later") == ["detected", "cleared"])
    assert heard.words(name, "settings") == ["detected", "cleared"]


def definition(group: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"quotas.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version],
                 "names": {"plural": "quotas", "singular": "quota", "kind": "Quota"}},
    }  # fmt: skip


async def test_a_kind_that_comes_goes_and_comes_again(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A declared custom resource whose definition is not there is said so and does not hold up the others.

    That it comes or goes is heard from the definitions, not found by asking now and then.
    """
    monkeypatch.setattr(service, "REDISCOVER_S", 3600.0)
    monkeypatch.setattr(service, "REDISCOVER_SOON_S", 3600.0)
    group = f"{random_name('g')}.example.org"
    crd = definition(group)
    quota: Object = {"apiVersion": f"{group}/v1", "kind": "Quota", "metadata": {"name": "q", "namespace": namespace},
                     "spec": {"size": 1}}  # fmt: skip
    other, outdated = config_map(namespace, a="1"), config_map(namespace, "old", a="1")
    outdated["apiVersion"] = "v0"
    await client.apply(other)

    async def make() -> None:
        await client.create(crd)
        await until_usable(client, group, "v1", "Quota")
        await client.apply(quota)

    def last() -> tuple[str, str | None]:
        if not heard.drifts(name, "q"):
            return ("nothing", None)
        data = heard.drifts(name, "q")[-1].data
        return ("cleared", None) if isinstance(data, DriftCleared) else (data.state, data.reason)

    async with watching(control_plane, broker.bootstrap, files.write(quota, other, outdated), name) as watcher:
        await watcher.ready()
        await client.patch(other, {"data": {"a": "2"}})
        await eventually(lambda: heard.words(name, "settings") == ["detected"])
        await eventually(lambda: last() == ("unjudged", "not-served"))
        await make()
        await eventually(lambda: last() == ("cleared", None))
        await client.patch(quota, {"spec": {"size": 2}})
        await eventually(lambda: last() == ("changed", None))
        await client.apply(quota)
        await eventually(lambda: last() == ("cleared", None))
        await client.delete(crd)
        await eventually(lambda: last() == ("unjudged", "not-served"))
        assert not watcher.cluster.catalogue.serves(group, "v1", "Quota")
        await until_gone(client, crd)
        await make()
        await eventually(lambda: last() == ("cleared", None))
    assert [(event.data.state, event.data.reason) for event in heard.drifts(name, "old")] == [
        ("unjudged", "not-served")
    ]


async def test_a_broker_that_was_away_gets_the_state_of_then(
    parts: Parts, client: Client, control_plane: LocalControlPlane, namespace: str, name: str, files: Files,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Every life is whole, whatever happened meanwhile, and readiness says that events wait."""
    own = LocalBroker(tmp_path / "broker", parts.kafka.jars, parts.kafka.java)
    await own.start()
    try:
        await ensure_topics(Settings(kafka=own.bootstrap, partitions=1))
        objects = {word: config_map(namespace, word, a="1") for word in ("passing", "staying", "before")}
        for obj in objects.values():
            await client.apply(obj)
        async with (
            hearing(own.bootstrap) as heard,
            watching(control_plane, own.bootstrap, files.write(*objects.values()), name) as watcher,
        ):
            await watcher.ready()
            await client.patch(objects["before"], {"data": {"a": "2"}})
            await eventually(lambda: heard.words(name) == ["detected"])
            await own.stop()
            for word in ("passing", "staying"):
                await client.patch(objects[word], {"data": {"a": "2"}})
            await eventually(lambda: "broker" in watcher.health.problems(), what="it says that the broker is away")
            await client.apply(objects["passing"])
            await client.apply(objects["before"])
            await own.start()
            await eventually(lambda: heard.words(name, "staying") == ["detected"])
            await eventually(lambda: heard.words(name, "before") == ["detected", "cleared"])
            await client.apply(objects["staying"])
            await eventually(lambda: heard.words(name, "staying") == ["detected", "cleared"])
            await watcher.ready()
            assert heard.words(name, "passing") in ([], ["detected", "cleared"])
    finally:
        await own.stop()


async def test_an_api_server_that_was_away_is_watched_on(
    parts: Parts, broker: LocalBroker, heard: Heard, name: str, files: Files, tmp_path: Path
) -> None:
    """Killed and started again: no drift is lost or opened twice, and it says meanwhile that it cannot see."""
    own = LocalControlPlane(tmp_path / "plane", parts.control_plane.binaries, parts.control_plane.stages)
    await own.start(nodes=1)
    try:
        async with client_of(own) as client:
            namespace = await client.namespace()
            objects = [config_map(namespace, word, a="1") for word in ("one", "two")]
            for obj in objects:
                await client.apply(obj)
            async with watching(own, broker.bootstrap, files.write(*objects), name) as watcher:
                await watcher.ready()
                await client.patch(objects[0], {"data": {"a": "2"}})
                await eventually(lambda: heard.words(name) == ["detected"])
                await own.kill_apiserver()
                await eventually(lambda: "watch" in watcher.health.problems())
                await own.start_apiserver()
                await client.patch(objects[1], {"data": {"a": "2"}})
                await eventually(lambda: heard.words(name, "two") == ["detected"])
                for obj in objects:
                    await client.apply(obj)
                await eventually(lambda: heard.words(name, "one") == ["detected", "cleared"])
                await eventually(lambda: heard.words(name, "two") == ["detected", "cleared"])
                await watcher.ready()
    finally:
        await own.stop()
