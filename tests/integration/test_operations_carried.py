"""Operations carried out by the carrier on a real API server: every errand, once more after a crash."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import Outcome, Reason
from schemas.ledger import Flight
from schemas.policy import BlastRadius, Step
from services.kube.api.errors import ApiError
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.reconciler.acting.carrier import Asks, Desk, carry
from services.reconciler.acting.turns import Turns
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.guards import Bounds
from services.reconciler.inputs import Ended, Errand, Task
from services.runtime.clock import SystemClock
from services.runtime.logging import get_log
from services.runtime.tasks import background
from tests import tools, works
from tests.ground import Ground, ground_of
from tests.operating import MASK, Nowhere, alert, scene_of, written_part
from tests.watching import Client, client_of
from tests.works import WORKS, Maker, Work

pytestmark = pytest.mark.integration
WIDE = BlastRadius(min_ready=0, max_nodes="100%", max_in_namespace=100)
ACTION_ID = "action-4711"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


async def carried(
    action: str, work: Work, ground: Ground, errand: Errand = Errand.DO, *, bounds: Bounds | None = None, **more: Any
) -> Ended:
    """One errand from its start to its end, within limits that forbid nothing."""
    clock, told = SystemClock(), alert(SystemClock())
    flight = Flight(
        action_id=ACTION_ID, decision_id="d", policy="guard", action=action, attempt=1, step=0, started_at=clock.now(),
        parameters=work.parameters, before=more.pop("before", None),
    )  # fmt: skip
    step = Step.model_validate({_camel(action): work.parameters, "verify": {"within": "1m"}})
    task = Task(errand, told.target, told, work.place, flight, step, **more)
    bounds = bounds or Bounds(CONTEXT)
    desk = Desk(work.on(ground.api), Nowhere(), clock, Turns(4), get_log("test"), MASK, bounds)
    asks = Asks(lambda _: None, lambda _: None if work.parameters.get("force") else WIDE, lambda _: 0)
    ended = await carry(task, asks, desk)
    assert isinstance(ended, Ended)
    return ended


def _camel(action: str) -> str:
    first, *rest = action.split("-")
    return first + "".join(word.title() for word in rest)


async def answering(work: Work, ground: Ground, action: str) -> None:
    """The other project's controller, which answers whenever something was asked of it."""
    scene = scene_of(ground.api, action, work.parameters, id=ACTION_ID)
    while True:
        with suppress(ApiError, KeyError, AssertionError):
            await work.answered(ground.client, scene)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_an_action_is_done_once_and_verified(action: str, maker: Maker, ground: Ground) -> None:
    """And taken up after a crash it is verified again, and what it wrote is left as it is."""
    work = await maker(ground)
    async with background(answering(work, ground, action)):
        ended = await carried(action, work, ground)
    assert (ended.outcome, ended.reason, ended.applied) == (Outcome.SUCCEEDED, Reason.VERIFIED, True), ended
    assert ended.message
    stored = written_part(await ground.live(work.about)) if work.about else None
    again = await carried(action, work, ground, resumed=True)
    assert (again.outcome, again.reason, again.applied) == (Outcome.SUCCEEDED, Reason.VERIFIED, True), again
    assert again.before == ended.before
    if work.about:
        assert written_part(await ground.live(work.about)) == stored


@pytest.mark.parametrize(
    ("action", "maker"),
    [one for one in WORKS if OPERATIONS[one.values[0]].reversible and one.values[1] is not works.operations],
)
async def test_what_was_done_is_taken_back(action: str, maker: Maker, ground: Ground) -> None:
    """By nothing but what the end of the action carried; once more changes nothing."""
    work = await maker(ground)
    ended = await carried(action, work, ground)
    for _ in range(2):
        undone = await carried(action, work, ground, Errand.UNDO, before=dict(ended.before))
        assert undone.outcome is Outcome.UNDONE, undone
    if work.about and "uid" in work.about["metadata"]:
        assert written_part(await ground.live(work.about)) == written_part(work.about)


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_a_plan_is_told_and_nothing_is_written(action: str, maker: Maker, ground: Ground) -> None:
    """In words and fields, with a hash that is the same when it is planned again."""
    work = await maker(ground)
    before = await ground.client.get(work.about) if work.about else None
    first, second = [await carried(action, work, ground, Errand.PLAN) for _ in range(2)]
    assert (first.outcome, first.reason, first.applied) == (Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, False), first
    assert first.plan.startswith(first.words)
    assert first.plan_hash == second.plan_hash
    after = await ground.client.get(work.about) if work.about else None
    assert (after and written_part(after)) == (before and written_part(before))


@pytest.mark.parametrize(("action", "maker"), [one for one in WORKS if one.values[0] != "evidence"])
async def test_a_protected_namespace_is_left_alone(action: str, maker: Maker, ground: Ground) -> None:
    """Whatever an action writes there, made or changed, is refused before it is written."""
    work = await maker(ground)
    bounds = Bounds(CONTEXT, frozenset({ground.namespace}))
    ended = await carried(action, work, ground, bounds=bounds)
    if action in ("cordon", "uncordon"):
        assert ended.outcome is Outcome.SUCCEEDED
        return
    assert (ended.reason, ended.applied) == (Reason.PROTECTED_NAMESPACE, False), ended
