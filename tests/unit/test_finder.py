"""Targets are looked up before a batch is decided, and no batch waits long for one."""

import asyncio
from typing import Any

import pytest

from schemas.alerts import AlertFired, Severity
from schemas.ledger import Place
from services.reconciler.acting import finder as module
from services.reconciler.acting.finder import Finder
from services.reconciler.inputs import Errand, Found, Task
from tests.reconciler_kit import NOON, target_of

WEB = target_of("web")
PLACE = Place(object=WEB, workload=WEB)


def alert(life: str) -> AlertFired:
    return AlertFired(
        alert_id=life, target=WEB, source="test", sender="c1", name="CrashLoop", severity=Severity.ERROR, lasting=True,
        onset=NOON, fired_at=NOON,
    )  # fmt: skip


class Cluster:
    """Answers when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.place: Place | None = PLACE
        self.delivered: list[Found] = []
        monkeypatch.setattr(module, "find", self.find)
        monkeypatch.setattr(module, "QUICK_S", 0.02)
        self.finder = Finder(None, self.delivered.append)  # type: ignore[arg-type]

    async def find(self, task: Task, desk: Any) -> Found:
        self.asked.append(task.alert.alert_id)
        await self.answers.wait()
        return Found(task.row.subject, task.alert.alert_id, self.place)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


async def test_what_is_found_in_time_goes_with_the_batch(cluster: Cluster) -> None:
    """And is delivered by no other way besides."""
    cluster.answers.set()
    assert await cluster.finder.quickly([alert("a"), alert("b")]) == {"a": PLACE, "b": PLACE}
    assert (cluster.delivered, cluster.finder.looking) == ([], {})


async def test_what_is_late_is_delivered_and_asked_for_once(cluster: Cluster) -> None:
    """The state machine's own task for it joins the look that is under way."""
    assert await cluster.finder.quickly([alert("a")]) == {}
    joined = cluster.finder.start(Task(Errand.FIND, WEB, alert("a"), Place()))
    cluster.answers.set()
    await joined
    await asyncio.sleep(0)
    assert [found.alert_id for found in cluster.delivered] == ["a"]
    assert cluster.asked == ["a"]


async def test_no_batch_waits_for_a_cluster_that_does_not_answer(cluster: Cluster) -> None:
    """After one look that came to nothing none is made before a batch, until one has an answer again."""
    assert await cluster.finder.quickly([alert("a")]) == {}
    assert await cluster.finder.quickly([alert("b")]) == {}
    assert cluster.asked == ["a"]
    back = cluster.finder.start(Task(Errand.FIND, WEB, alert("b"), Place()))
    cluster.answers.set()
    await back
    await asyncio.sleep(0)
    assert await cluster.finder.quickly([alert("c")]) == {"c": PLACE}


async def test_an_answer_that_is_none_is_no_place(cluster: Cluster) -> None:
    """The API server was away: the batch decides without, which means to ask again later."""
    cluster.place = None
    cluster.answers.set()
    assert await cluster.finder.quickly([alert("a")]) == {}


async def test_it_ends_with_its_partition(cluster: Cluster) -> None:
    """Nothing is delivered to a book that is gone."""
    await cluster.finder.quickly([alert("a")])
    looking = cluster.finder.start(Task(Errand.FIND, WEB, alert("a"), Place()))
    await cluster.finder.close()
    assert looking.cancelled()
    assert cluster.delivered == []
