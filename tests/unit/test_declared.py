"""The sources of a process: when each is read, what stays while one cannot be, and when the state is complete."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from schemas.baseline import Baseline
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue, Resource
from services.kube.api.errors import ApiError, Forbidden, Unavailable
from services.kube.declaration.baselines import Declared, Origin, OriginKind, declare
from services.kube.declaration.declared import DeclaredSource
from services.kube.declaration.manifests import Manifest
from services.kube.declaration.origins import followed
from services.kube.declaration.origins.base import Found
from services.kube.declaration.sources import declared_source
from services.runtime.settings import Settings
from tests.fakes import StillClock
from tests.watching import config_map

CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset({"get", "list", "watch"}))
CLUSTER: Cluster = SimpleNamespace(catalogue=Catalogue([CONFIG_MAP]))  # type: ignore[assignment]


def baseline(name: str, **spec: Any) -> Baseline:
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": name}}
    return Baseline.model_validate({**header, "spec": {"source": {"helm": {}}, **spec}})


def found(name: str, value: str = "1") -> Found:
    entry = Manifest(config_map("n", name, a=value), "f", 1)
    return Found((declare(baseline(name), entry, {}, origin=Origin(OriginKind.HELM, "n", name)),))


class Answers:
    """A reader that answers what it is told to, by the baseline's name."""

    def __init__(self) -> None:
        self.answers: dict[str, Found | ApiError] = {}
        self.asked: list[str] = []

    def reader(self, baseline: Baseline, observe: str) -> Any:
        async def read(cluster: Cluster) -> Found:
            name = baseline.metadata.name
            self.asked.append(name)
            answer = self.answers[name]
            if isinstance(answer, ApiError):
                raise answer
            return answer

        return SimpleNamespace(read=read)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    made = Answers()
    monkeypatch.setattr(followed, "reader_of", made.reader)
    return made


def write(folder: Path, *baselines: Baseline) -> None:
    text = "\n---\n".join(orjson.dumps(one.model_dump(mode="json", by_alias=True)).decode() for one in baselines)
    (folder / "b.yaml").write_text(text, encoding="utf-8")


def opened(folder: Path, *baselines: Baseline) -> DeclaredSource:
    write(folder, *baselines)
    return declared_source(Settings(baselines=folder))


def names(source: DeclaredSource) -> set[str]:
    return {declared.key.name for declared in source.bound(CLUSTER).values()}


async def test_each_source_keeps_its_last_good_state(answers: Answers, tmp_path: Path) -> None:
    """One that cannot be read hides nothing of the others, and its trouble is told."""
    source, clock = opened(tmp_path, baseline("a"), baseline("b")), StillClock()
    answers.answers = {"a": found("a"), "b": found("b")}
    await source.ready(CLUSTER, clock)
    assert names(source) == {"a", "b"}
    for error in (Unavailable("away", 503), Forbidden("no right", 403)):
        version = source.version
        answers.answers = {"a": error, "b": found("b", error.message)}
        clock.advance(31)
        await source.look(CLUSTER, clock)
        assert names(source) == {"a", "b"}
        assert source.version == version + 1
        assert error.message in str(source.problem)
    answers.answers["a"] = found("a")
    clock.advance(31)
    await source.look(CLUSTER, clock)
    assert source.problem is None


async def test_no_service_starts_before_every_source_was_read(answers: Answers, tmp_path: Path) -> None:
    """Else all open drifts of its objects would be closed as no longer declared; a missing right is an answer."""
    source, clock = opened(tmp_path, baseline("a"), baseline("b")), StillClock()
    answers.answers = {"a": Unavailable("away", 503), "b": Forbidden("no right", 403)}
    with pytest.raises(Unavailable, match="away"):
        await source.ready(CLUSTER, clock)
    answers.answers["a"] = found("a")
    await source.ready(CLUSTER, clock)
    assert names(source) == {"a"}


async def test_a_source_is_read_when_it_is_due_and_a_changed_baseline_at_once(answers: Answers, tmp_path: Path) -> None:
    """Until a changed baseline was read, the state before it stays as a whole."""
    source, clock = opened(tmp_path, baseline("a"), baseline("b")), StillClock()
    answers.answers = {"a": found("a"), "b": found("b")}
    await source.ready(CLUSTER, clock)
    answers.asked.clear()
    clock.advance(29)
    await source.look(CLUSTER, clock)
    assert answers.asked == []

    write(tmp_path, baseline("a", manager="someone"))
    source.refresh()
    answers.answers["a"] = found("other")
    assert not source.complete
    assert names(source) == {"a", "b"}
    await source.look(CLUSTER, clock)
    assert answers.asked == ["a"]
    assert names(source) == {"other"}


async def test_what_reads_the_same_is_no_new_version(answers: Answers, tmp_path: Path) -> None:
    """Every new version makes a watcher list everything again."""
    source, clock = opened(tmp_path, baseline("a")), StillClock()
    answers.answers = {"a": found("a")}
    await source.ready(CLUSTER, clock)
    version = source.version
    for answer, changed in ((found("a"), 0), (found("a", "2"), 1)):
        answers.answers = {"a": answer}
        clock.advance(31)
        await source.look(CLUSTER, clock)
        assert source.version - version == changed
    (tmp_path / "b.yaml").touch()
    source.refresh()
    assert source.version - version == 1


def test_namespaces_are_bound_without_unpacking_what_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Thousands of objects are bound anew whenever one of them changes."""
    source = opened(tmp_path, baseline("a"))
    monkeypatch.setattr(source.sources, "claims", lambda: found("a").objects)
    monkeypatch.setattr(Declared, "bound_to", lambda *_: pytest.fail("it was unpacked"))
    assert names(source) == {"a"}


async def test_nothing_is_pruned_while_a_source_is_read_in_part(answers: Answers, tmp_path: Path) -> None:
    """What a release that cannot be decoded declares would look as if nobody wanted it."""
    source, clock = opened(tmp_path, baseline("a", prune="delete"), baseline("b", prune="delete")), StillClock()
    answers.answers = {"a": found("a")._replace(problems=("release x cannot be decoded",)), "b": found("b")}
    await source.ready(CLUSTER, clock)
    assert names(source) == {"a", "b"}
    assert {one.metadata.name: bool(one.spec.prune) for one in source.baselines} == {"a": False, "b": True}
    assert source.problem is None
    assert source.problems == ["release x cannot be decoded"]

    answers.answers["a"] = found("a")
    version = source.version
    clock.advance(31)
    await source.look(CLUSTER, clock)
    assert source.version > version
    assert names(source) == {"a", "b"}
    assert all(one.spec.prune for one in source.baselines)


async def test_an_api_server_that_is_away_is_asked_again_soon(answers: Answers, tmp_path: Path) -> None:
    """It comes back within seconds most of the time, and meanwhile nothing new is known."""
    source, clock = opened(tmp_path, baseline("a")), StillClock()
    answers.answers = {"a": found("a")}
    await source.ready(CLUSTER, clock)
    answers.answers = {"a": Unavailable("away", 503)}
    clock.advance(31)
    await source.look(CLUSTER, clock)
    answers.answers = {"a": found("a", "2")}
    clock.advance(6)
    await source.look(CLUSTER, clock)
    assert source.problem is None
