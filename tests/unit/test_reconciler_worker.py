"""One action from plan to outcome, with a cluster in memory and a clock that is moved."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from schemas.actions import Revert
from schemas.events import DriftDetected, DriftState, Mode, Outcome, Reason
from schemas.ledger import InFlight
from schemas.policy import Step
from schemas.target import Target
from services.kube.api.errors import Conflict, Forbidden, Invalid, NotFound, TimedOut, TooManyRequests, Unavailable
from services.reconciler.acting.turns import Turns
from services.reconciler.acting.worker import Bench, run_action
from services.reconciler.actions.available import unavailable
from services.reconciler.guards import Denial
from services.reconciler.inputs import Job, Result
from services.runtime.logging import get_log
from tests.reconciler_kit import NOON, FakeHands, MovedClock, declared, drift, key_of, target_of

STUCK = {"observedGeneration": 10**9, "updatedReplicas": 3, "availableReplicas": 0}


def job(
    target: Target | None = None,
    *,
    mode: Mode = Mode.ENFORCE,
    resumed: bool = False,
    undo: str = "never",
    **verify: Any,
) -> Job:
    flight = InFlight(action_id="a1", decision_id="d1", policy="heal", attempt=1, started_at=NOON, mode=mode)
    step = Step.model_validate({"revert": {}, "verify": verify, "undo": undo})
    return Job(target or target_of(), flight, step, resumed=resumed)


async def run(
    one: Job, hands: FakeHands, *, gate: Denial | None = None, known: bool = True, clock: MovedClock | None = None
) -> Result:
    bench = Bench(hands, clock or MovedClock(), Turns(2), get_log("test"))
    return await run_action(one, declared(one.target) if known else None, lambda _: gate, bench)


@pytest.fixture
def hands() -> FakeHands:
    """A Deployment that somebody has scaled from 3 to 5."""
    fake = FakeHands()
    fake.put(target_of(), 5)
    return fake


def replicas(hands: FakeHands) -> int | None:
    live = hands.objects.get(key_of(target_of()))
    return live["spec"]["replicas"] if live else None


async def test_a_drift_is_put_back_and_verified_by_the_answer(hands: FakeHands) -> None:
    """One GET, one judgement of it, one write, one judgement of the answer; no further call."""
    calls: list[str] = []
    hands.before = {name: partial(calls.append, name) for name in ("get", "judge", "put_back")}
    result = await run(job(), hands)
    assert (result.outcome, result.reason, result.applied) == (Outcome.SUCCEEDED, Reason.VERIFIED, True)
    assert result.resource_version == hands.version
    assert calls == ["get", "judge", "put_back", "judge"]
    assert replicas(hands) == 3


async def test_a_missing_object_is_made() -> None:
    """Deleted by somebody: it is there again."""
    hands = FakeHands()
    assert (await run(job(), hands)).outcome is Outcome.SUCCEEDED
    assert replicas(hands) == 3


async def test_what_is_right_already_is_left_alone(hands: FakeHands) -> None:
    """Somebody was faster; nothing is written, and the version that was right is reported."""
    hands.put(target_of(), 3)
    result = await run(job(), hands)
    assert (result.outcome, result.reason, result.applied) == (Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE, False)
    assert (hands.writes, result.resource_version) == ([], hands.version)


async def test_an_action_taken_up_again_skips_what_holds_and_verifies_it(hands: FakeHands) -> None:
    """The write had reached the server before the crash: the action succeeded, it was not superseded."""
    hands.put(target_of(), 3)
    result = await run(job(resumed=True), hands)
    assert (result.outcome, result.applied, result.resumed) == (Outcome.SUCCEEDED, False, True)
    assert hands.writes == []


@pytest.mark.parametrize(
    ("one", "known", "reason"),
    [
        pytest.param(job(), False, Reason.NOT_DECLARED, id="no baseline declares it any more"),
        pytest.param(job(target_of(cluster="c2"), resumed=True), True, Reason.OUT_OF_SCOPE, id="another cluster's"),
    ],
)
async def test_nothing_is_asked_of_the_cluster(one: Job, known: bool, reason: Reason) -> None:
    """There is nothing to do here."""
    hands = FakeHands()
    hands.fails["get"] = [RuntimeError("asked")]
    result = await run(one, hands, known=known)
    assert (result.outcome, result.reason) == (Outcome.SUPERSEDED, reason)


async def test_a_person_has_the_last_word_before_the_write(hands: FakeHands) -> None:
    """A pause that came between the decision and the write."""
    result = await run(job(), hands, gate=Denial(Reason.PAUSED, "paused by ann"))
    assert (result.outcome, result.reason, result.message) == (Outcome.SUPERSEDED, Reason.PAUSED, "paused by ann")
    assert hands.writes == []


async def test_a_dry_run_tells_what_it_would_do(hands: FakeHands) -> None:
    """And writes nothing."""
    result = await run(job(mode=Mode.DRY_RUN), hands)
    assert (result.reason, hands.writes) == (Reason.DRY_RUN_MODE, [])
    assert "/spec/replicas: 5 → 3" in result.message


async def test_a_dry_run_of_a_secret_tells_paths_only() -> None:
    """No value of a Secret in any message."""
    secret = target_of("token", kind="Secret")
    hands = FakeHands()
    hands.put(secret, 41)
    result = await run(job(secret, mode=Mode.DRY_RUN), hands)
    assert "/spec/replicas" in result.message
    assert "41" not in result.message


@pytest.mark.parametrize("phase", ["get", "put_back"])
@pytest.mark.parametrize(
    ("error", "reason", "temporary"),
    [
        pytest.param(Forbidden("cannot patch", 403), Reason.FORBIDDEN, False, id="forbidden"),
        pytest.param(Invalid("spec.x: bad", 422), Reason.INVALID, False, id="invalid"),
        pytest.param(Invalid("spec.selector: field is immutable", 422), Reason.IMMUTABLE, False, id="immutable"),
        pytest.param(Invalid("exceeded quota: q", 403), Reason.QUOTA, True, id="quota"),
        pytest.param(Invalid("failed calling webhook", 500), Reason.WEBHOOK_FAILED, True, id="webhook away"),
        pytest.param(Invalid("admission webhook denied", 403), Reason.WEBHOOK_REFUSED, False, id="webhook refuses"),
        pytest.param(Invalid("because it is being terminated", 403), Reason.TERMINATING, True, id="namespace ends"),
        pytest.param(NotFound("namespace", 404), Reason.INVALID, False, id="no such namespace"),
        pytest.param(NotFound("no", 404, "not-served"), Reason.NOT_SERVED, True, id="no such kind"),
        pytest.param(Unavailable("away", 503), Reason.UNAVAILABLE, True, id="away"),
        pytest.param(TooManyRequests("slow", 429, "", 7.0), Reason.UNAVAILABLE, True, id="too many"),
        pytest.param(TimedOut("late"), Reason.TIMEOUT, True, id="timed out"),
        pytest.param(TimeoutError(), Reason.TIMEOUT, True, id="the action's own time-out"),
        pytest.param(RuntimeError("bug"), Reason.INTERNAL, False, id="a defect of ours"),
    ],
)
async def test_every_error_is_an_outcome(
    hands: FakeHands, phase: str, error: BaseException, reason: Reason, temporary: bool
) -> None:
    """Never a success by assumption, and never a crash; a write without an answer may have happened."""
    hands.fails[phase] = [error] * 9
    result = await run(job(), hands)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, reason, temporary)
    assert result.applied is (phase == "put_back" and isinstance(error, Unavailable | TimeoutError))
    assert result.retry_after == (7.0 if isinstance(error, TooManyRequests) else None)


async def test_a_missing_right_is_named(hands: FakeHands) -> None:
    """Verb, kind and namespace, so that somebody can grant it."""
    hands.fails["put_back"] = [Forbidden("no", 403)]
    assert "patch Deployment.apps in namespace shop" in (await run(job(), hands)).message


async def test_a_missing_right_is_the_one_that_the_server_names(hands: FakeHands) -> None:
    """Making an object anew needs more than a patch."""
    hands.fails["put_back"] = [Forbidden('x is forbidden: User "u" cannot delete resource "deployments"', 403)]
    assert "delete Deployment.apps in namespace shop" in (await run(job(), hands)).message


async def test_what_the_server_quotes_of_a_secret_is_not_repeated() -> None:
    """An error body may hold values."""
    secret = target_of("token", kind="Secret")
    hands = FakeHands()
    hands.put(secret, 41)
    hands.fails["put_back"] = [Invalid('data.password: Invalid value: "hunter2"', 422, "Invalid")]
    result = await run(job(secret), hands)
    assert "hunter2" not in result.message
    assert "422" in result.message


async def test_a_conflict_is_looked_at_again_at_once(hands: FakeHands) -> None:
    """Somebody wrote between the plan and the write: plan anew, a few times."""
    hands.fails["put_back"] = [Conflict("newer", 409)] * 2
    assert (await run(job(), hands)).outcome is Outcome.SUCCEEDED
    hands.put(target_of(), 5)
    hands.fails["put_back"] = [Conflict("newer", 409)] * 3
    result = await run(job(), hands)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.CONFLICT, True)


async def test_an_action_that_hangs_ends_by_its_time_out(hands: FakeHands) -> None:
    """As `failed`, and its slot is free again."""
    hands.before["put_back"] = lambda: asyncio.Event().wait()
    one = job()
    one = replace(one, step=Step(revert=Revert(timeout=timedelta(seconds=0.05))))
    result = await run(one, hands)
    assert (result.outcome, result.reason, result.applied) == (Outcome.FAILED, Reason.TIMEOUT, True)


async def test_verification_looks_until_it_holds(hands: FakeHands) -> None:
    """Pods take their time; the window is the policy's."""
    clock = MovedClock()

    def later() -> None:
        hands.put(target_of(), 3, **({"status": STUCK} if clock.monotonic() < 2 else {}))

    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    result_before = asyncio.create_task(run(job(within="10s", until=["inSync", "available"]), hands, clock=clock))
    hands.before["get"] = lambda: later() if hands.writes else None
    result = await result_before
    assert (result.outcome, result.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert 2 <= clock.monotonic() < 10


def _stuck(hands: FakeHands) -> Any:
    """A write after which the Deployment never gets its replicas."""

    async def put_back(declared: Any, live: Any, finding: Any, *, recreate: bool = False) -> Any:
        hands.writes.append(("put_back", declared.key))
        return hands.put(target_of(), 3, status=STUCK)

    return put_back


@pytest.mark.parametrize(
    ("undo", "outcome", "left"),
    [pytest.param("never", Outcome.INEFFECTIVE, 3, id="never"), pytest.param("auto", Outcome.UNDONE, 5, id="auto")],
)
async def test_a_fix_that_does_not_verify(hands: FakeHands, undo: str, outcome: Outcome, left: int) -> None:
    """Is undone where the policy says so, and is said to have been ineffective where it does not."""
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    result = await run(job(undo=undo, within="5s", until=["available"]), hands)
    assert (result.outcome, result.reason) == (outcome, Reason.NOT_VERIFIED)
    assert "0 of 3 replicas available" in result.message
    assert replicas(hands) == left


async def test_an_object_that_the_fix_made_is_deleted_by_the_undo() -> None:
    """What stood before was nothing."""
    hands = FakeHands()
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    result = await run(job(undo="auto", within="1s", until=["available"]), hands)
    assert (result.outcome, replicas(hands)) == (Outcome.UNDONE, None)


async def test_what_somebody_wrote_since_is_not_undone(hands: FakeHands) -> None:
    """Theirs stands."""
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    clock = MovedClock()
    hands.before["get"] = lambda: hands.put(target_of(), 8, status=STUCK) if clock.monotonic() > 1 else None
    result = await run(job(undo="auto", within="3s", until=["available"]), hands, clock=clock)
    assert (result.outcome, replicas(hands)) == (Outcome.INEFFECTIVE, 8)
    assert "changed it since" in result.message


@pytest.mark.parametrize("conflicts", [1, 9])
async def test_an_undo_looks_again_when_a_controller_writes_status(hands: FakeHands, conflicts: int) -> None:
    """A few times; then it has failed, and says so."""
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    hands.fails["put_forward"] = [Conflict("newer", 409)] * conflicts
    result = await run(job(undo="auto", within="1s", until=["available"]), hands)
    expected = (Outcome.UNDONE, Reason.NOT_VERIFIED) if conflicts == 1 else (Outcome.FAILED, Reason.UNDO_FAILED)
    assert (result.outcome, result.reason) == expected


async def test_after_a_crash_what_stood_before_is_not_known(hands: FakeHands) -> None:
    """It is kept nowhere, since it may be a Secret's; the undo has failed then."""
    hands.put(target_of(), 3, status=STUCK)
    result = await run(job(undo="auto", resumed=True, within="1s", until=["available"]), hands)
    assert (result.outcome, result.reason) == (Outcome.INEFFECTIVE, Reason.UNDO_FAILED)


async def test_a_hiccup_of_the_api_server_during_verification_is_waited_out(hands: FakeHands) -> None:
    """One look that fails is followed by another."""
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    looks: list[int] = []

    def second_look_fails_third_is_right() -> None:
        looks.append(len(looks))
        if len(looks) == 2:
            hands.fails["get"].append(Unavailable("away", 503))
        if len(looks) == 3:
            hands.put(target_of(), 3)

    hands.before["get"] = second_look_fails_third_is_right
    result = await run(job(within="5s", until=["available"]), hands)
    assert (result.outcome, result.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)


async def test_the_api_server_going_away_during_verification_is_no_success(hands: FakeHands) -> None:
    """What was not seen did not happen."""
    hands.put_back = _stuck(hands)  # type: ignore[method-assign]
    hands.before["get"] = lambda: hands.fails["get"].append(Unavailable("away", 503)) if hands.writes else None
    result = await run(job(within="5s", until=["available"]), hands)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.UNAVAILABLE, True)


def prune_job(drift_of: DriftDetected | None, uid: str | None = None, **step: Any) -> Job:
    flight = InFlight(action_id="a1", action="prune", decision_id="d1", policy="heal", attempt=1, started_at=NOON)
    target = target_of().model_copy(update={"uid": uid})
    return Job(target, flight, Step.model_validate({"prune": {}, **step}), drift_of)


UNWANTED = drift(state=DriftState.UNWANTED, prune="delete", live=5)


async def test_what_is_unwanted_is_deleted(hands: FakeHands) -> None:
    """The very object that was reported, which still has what it was reported for."""
    uid = hands.objects[key_of(target_of())]["metadata"]["uid"]
    result = await run(prune_job(UNWANTED, uid), hands, known=False)
    assert (result.outcome, result.reason, hands.objects) == (Outcome.SUCCEEDED, Reason.VERIFIED, {})


@pytest.mark.parametrize(
    ("one", "known"),
    [
        pytest.param(prune_job(UNWANTED), True, id="declared by now"),
        pytest.param(prune_job(UNWANTED, "another"), False, id="another object of that name"),
        pytest.param(prune_job(None), False, id="not known what it was reported for"),
        pytest.param(prune_job(drift(state=DriftState.UNWANTED, live=4)), False, id="no longer as reported"),
    ],
)
async def test_what_may_be_wanted_stays(hands: FakeHands, one: Job, known: bool) -> None:
    """Nothing is deleted on a doubt."""
    result = await run(one, hands, known=known)
    assert (result.outcome, result.reason, hands.writes) == (Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE, [])


@pytest.mark.parametrize(
    ("drift_of", "there", "outcome"),
    [
        pytest.param(UNWANTED, False, Outcome.SUCCEEDED, id="deleted before the crash"),
        pytest.param(UNWANTED, True, Outcome.SUCCEEDED, id="not deleted yet"),
        pytest.param(None, False, Outcome.SUCCEEDED, id="deleted, and the watcher has said so"),
        pytest.param(None, True, Outcome.SUPERSEDED, id="wanted by now"),
    ],
)
async def test_a_prune_that_is_taken_up_again(
    hands: FakeHands, drift_of: DriftDetected | None, there: bool, outcome: Outcome
) -> None:
    """It is done when the object is gone, whoever deleted it; an object that is wanted by now stays."""
    if not there:
        hands.objects.clear()
    result = await run(replace(prune_job(drift_of), resumed=True), hands, known=False)
    assert (result.outcome, bool(hands.objects)) == (outcome, outcome is Outcome.SUPERSEDED)


async def test_a_prune_looks_again_when_somebody_wrote(hands: FakeHands) -> None:
    """The delete holds for the version that was looked at; a status that was written meanwhile is no obstacle."""
    hands.before["put_away"] = lambda: hands.put(target_of(), 5) if not hands.writes and hands.version < 103 else None
    result = await run(prune_job(UNWANTED), hands, known=False)
    assert (result.outcome, hands.objects) == (Outcome.SUCCEEDED, {})


async def test_a_dry_run_of_a_prune_deletes_nothing(hands: FakeHands) -> None:
    """It says what it would do."""
    one = prune_job(UNWANTED)
    one = replace(one, action=one.action.model_copy(update={"mode": Mode.DRY_RUN}))
    result = await run(one, hands, known=False)
    assert (result.reason, result.message, hands.writes) == (Reason.DRY_RUN_MODE, "would delete the object", [])


def workload(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("obj", "missing"),
    [
        pytest.param({"apiVersion": "v1", "kind": "Service"}, None, id="other kinds exist"),
        pytest.param(workload("Deployment", {"observedGeneration": 1}), "not seen", id="not seen yet"),
        pytest.param(workload("Deployment", {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1}),
                     None, id="one replica where none is named"),
        pytest.param(workload("Deployment", {"observedGeneration": 2}, replicas=0), None, id="none wanted"),
        pytest.param(workload("Deployment", {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 3},
                     replicas=3), "2 of 3 replicas updated", id="rolling"),
        pytest.param(workload("StatefulSet", {"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 2},
                     replicas=3), "2 of 3 replicas available", id="stateful set"),
        pytest.param(workload("StatefulSet", {"observedGeneration": 2, "availableReplicas": 3}, replicas=3,
                     updateStrategy={"type": "OnDelete"}), None, id="updated on delete only"),
        pytest.param(workload("DaemonSet", {"observedGeneration": 2, "desiredNumberScheduled": 3,
                     "updatedNumberScheduled": 3, "numberAvailable": 1}), "1 of 3", id="daemon set"),
    ],
)  # fmt: skip
def test_available(obj: dict[str, Any], missing: str | None) -> None:
    """By the workload's own controller's word."""
    found = unavailable(obj)
    assert (found is None) is (missing is None)
    assert missing is None or missing in (found or "")
