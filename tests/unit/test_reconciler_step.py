"""The state machine of one target: what is decided, what is recorded, and what changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import (
    ActionFinished,
    ActionStarted,
    ControlKind,
    ControlSet,
    DecisionMade,
    DriftState,
    FindingReason,
    Mode,
    Outcome,
    Reason,
    Scope,
    Verdict,
)
from schemas.ledger import TargetState
from schemas.policy import Policy
from services.reconciler.guards import Bounds
from services.reconciler.inputs import Cleared, Detected, Due, Fact, Input, Job, Result, Resumed, World
from services.reconciler.step import deadline, step
from tests.reconciler_kit import NOON, clear, drift, policy, target_of

PAUSE = ControlSet(name="p", kind=ControlKind.PAUSE, scope=Scope(cluster="c1"), by="ann")


@dataclass
class Machine:
    """One row over time, and everything that was said about it."""

    policies: tuple[Policy, ...] = field(default_factory=lambda: (policy(),))
    controls: tuple[ControlSet, ...] = ()
    now: datetime = NOON
    row: TargetState | None = None
    facts: list[Fact] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    @property
    def world(self) -> World:
        return World(self.now, self.policies, self.controls, Bounds("c1"))

    def give(self, given: Input) -> "Machine":
        made = step(self.row or TargetState(target=target_of()), given, self.world)
        # what a crash and a load would make of it
        self.row = made.state and TargetState.model_validate_json(made.state.model_dump_json(exclude_defaults=True))
        self.facts += made.facts
        self.jobs += [made.job] if made.job else []
        return self

    def detect(self, life: str = "d1", update: int = 0, version: int = 100, **more: Any) -> "Machine":
        digest = more.pop("digest", None)
        data = drift(life=life, update=update, version=version, at=more.pop("at", self.now), **more)
        return self.give(Detected(f"{life}-{update}", life, data, digest))

    def clear(self, life: str = "d1", version: int = 101) -> "Machine":
        return self.give(Cleared(f"{life}-cleared", clear(life=life, version=version, at=self.now)))

    def end(self, outcome: Outcome = Outcome.SUCCEEDED, reason: Reason = Reason.VERIFIED, **more: Any) -> "Machine":
        applied = outcome is not Outcome.SUPERSEDED
        result = Result(self.jobs[-1].action.action_id, target_of().subject, outcome, reason, applied=applied)
        return self.give(replace(result, **more))

    def wait(self, seconds: float) -> "Machine":
        self.now += timedelta(seconds=seconds)
        return self

    def until_due(self) -> bool:
        """Go to the row's deadline, as the partition's loop does; False where it has none."""
        when = deadline(self.row, self.world) if self.row else None
        if when is None:
            return False
        self.now = max(self.now, when)
        self.give(Due())
        return True

    def decisions(self) -> list[DecisionMade]:
        return [fact.data for fact in self.facts if isinstance(fact.data, DecisionMade)]

    def said(self) -> list[tuple[Verdict, Reason]]:
        return [(decision.verdict, decision.reason) for decision in self.decisions()]

    def ended(self) -> list[ActionFinished]:
        return [fact.data for fact in self.facts if isinstance(fact.data, ActionFinished)]


ACT = (Verdict.ACT, Reason.POLICY)


def test_detected_acts_and_the_chain_of_events_holds() -> None:
    """Decision, start and end name each other, and all name the trigger's correlation."""
    machine = Machine().detect().end(resource_version=101).clear()
    decision, started, finished = machine.facts
    assert [type(fact.data) for fact in machine.facts] == [DecisionMade, ActionStarted, ActionFinished]
    assert [fact.cause for fact in machine.facts] == ["d1-0", decision.id, started.id]
    assert {fact.correlation for fact in machine.facts} == {"d1"}
    assert machine.row
    assert (machine.row.drift, machine.row.in_flight, machine.row.retry_at) == (None, None, None)
    assert isinstance(finished.data, ActionFinished)
    assert (finished.data.outcome, finished.data.attempt) == (Outcome.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("policies", "answer"),
    [
        pytest.param((), (Verdict.OBSERVE, Reason.NO_POLICY), id="none"),
        pytest.param((policy(baseline="other"),), (Verdict.OBSERVE, Reason.NO_POLICY), id="none that matches"),
        pytest.param((policy(mode=Mode.OBSERVE),), (Verdict.OBSERVE, Reason.OBSERVE_MODE), id="observe"),
        pytest.param((policy("b"), policy("a", mode=Mode.OBSERVE)), (Verdict.OBSERVE, Reason.OBSERVE_MODE),
                     id="the first by name decides"),
        pytest.param((policy("a", match={"namespace": ["x*"]}), policy("b")), ACT, id="the first that matches"),
    ],
)  # fmt: skip
def test_the_policy_decides(policies: tuple[Policy, ...], answer: tuple[Verdict, Reason]) -> None:
    """One decision for one drift, whatever it is, and nothing waits where nothing will happen."""
    machine = Machine(policies).detect()
    assert machine.said() == [answer]
    assert not machine.jobs or answer == ACT
    assert answer == ACT or (machine.row and deadline(machine.row, machine.world) is None)


def test_dry_run_makes_the_plan_and_tells_it() -> None:
    """Nothing is announced as an action; the decision's message is the plan."""
    machine = Machine((policy(mode=Mode.DRY_RUN),)).detect()
    assert machine.facts == []
    assert machine.jobs[0].plan_only
    machine.end(Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, message="5 → 3")
    (decision,) = machine.decisions()
    assert (decision.reason, decision.message, decision.mode) == (Reason.DRY_RUN_MODE, "5 → 3", Mode.DRY_RUN)
    machine.give(Due())
    assert len(machine.jobs) == 1
    assert machine.detect(update=1, version=110).jobs[1].plan_only


def test_the_same_answer_is_recorded_once() -> None:
    """Five hundred updates of a drift under a pause are one decision."""
    machine = Machine(controls=(PAUSE,))
    for update in range(500):
        machine.detect(update=update, version=100 + update)
    assert machine.said() == [(Verdict.WAIT, Reason.PAUSED)]


def test_a_pause_that_ends_lets_the_drift_be_corrected() -> None:
    """By itself at its end, without any further event."""
    machine = Machine(controls=(PAUSE.model_copy(update={"until": NOON + timedelta(minutes=5)}),)).detect()
    assert machine.until_due()
    assert machine.now == NOON + timedelta(minutes=5)
    assert machine.said() == [(Verdict.WAIT, Reason.PAUSED), ACT]


def test_a_lifted_pause_is_decided_at_once_and_named_as_the_cause() -> None:
    """Resume → act."""
    machine = Machine(controls=(PAUSE,)).detect()
    machine.controls = ()
    machine.give(Resumed("resume-1"))
    assert machine.said()[-1] == ACT
    assert machine.facts[1].cause == "resume-1"
    assert machine.facts[1].correlation == "d1"


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda m: m.detect(), id="second delivery of the first event"),
        pytest.param(lambda m: m.detect(update=1, version=99), id="older object"),
        pytest.param(lambda m: m.detect(life="d0", version=90), id="an earlier life"),
        pytest.param(lambda m: m.clear(life="d0", version=91), id="an earlier life's end"),
        pytest.param(lambda m: m.give(Result("other", target_of().subject, Outcome.FAILED, Reason.TIMEOUT)),
                     id="another action's result"),
        pytest.param(lambda m: m.give(Due()), id="a deadline that is none any more"),
    ],
)  # fmt: skip
def test_stale_inputs_change_nothing(late: Callable[[Machine], Machine]) -> None:
    """Neither the row nor anything that is said."""
    machine = Machine().detect()
    before, said = machine.row, list(machine.facts)
    late(machine)
    assert (machine.row, machine.facts) == (before, said)


def test_a_second_delivery_after_the_end_opens_nothing() -> None:
    """The drift's life is over, and its first event comes once more."""
    machine = Machine().detect().end(resource_version=101).clear()
    before = machine.row
    machine.detect(at=NOON)
    assert machine.row == before


def test_a_deleted_object_may_drift_again_with_the_same_version() -> None:
    """Where the version says nothing, a later detection is a new life all the same."""
    machine = Machine().detect(state="missing", version=0).end(resource_version=0).wait(1).clear(version=0)
    machine.wait(5).detect(state="missing", version=0)
    assert machine.said() == [ACT, ACT]


def test_a_cluster_restored_from_a_backup_is_heard_again() -> None:
    """Its versions start lower; after ten minutes that is no reason to ignore it any more."""
    machine = Machine().detect(version=9000).end(resource_version=9001).clear(version=9001)
    machine.wait(60).detect(life="d2", version=50)
    assert machine.row
    assert machine.row.drift is None
    machine.wait(600).detect(life="d2", version=50)
    assert machine.row.drift is not None


def test_cleared_closes_its_own_life_whatever_the_version_says() -> None:
    """The worker may have seen a newer object (a status, say) than the watcher's word is about."""
    machine = Machine().detect().end(Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE, resource_version=120).clear(version=105)
    assert machine.row
    assert machine.row.drift is None
    assert machine.row.attempts == ()


def test_cleared_before_the_result_leaves_the_action_its_end() -> None:
    """The watcher may be faster than the verification."""
    machine = Machine().detect().clear()
    assert machine.row
    assert machine.row.in_flight
    machine.end(resource_version=101)
    assert machine.row.in_flight is None
    assert [finished.drift_id for finished in machine.ended()] == ["d1"]


def test_an_update_under_way_waits_and_is_decided_when_the_action_ends() -> None:
    """Unless the action's write is newer than the update, which then is covered by it."""
    covered = Machine().detect().detect(update=1, version=105).end(resource_version=110)
    assert covered.said() == [ACT, (Verdict.WAIT, Reason.IN_FLIGHT)]
    newer = Machine().detect().detect(update=1, version=120).end(resource_version=110)
    assert newer.said() == [ACT, (Verdict.WAIT, Reason.IN_FLIGHT), ACT]


def test_an_object_deleted_right_after_its_fix_is_made_again() -> None:
    """Its deletion has the version that the fix had made, or an older one than the verification saw."""
    under_way = Machine().detect().clear(version=101).detect(life="d2", version=101, state="missing")
    assert under_way.end(resource_version=103).said() == [ACT, (Verdict.WAIT, Reason.IN_FLIGHT), ACT]
    after = Machine().detect().end(resource_version=103).clear(version=101)
    assert after.detect(life="d2", version=102, state="missing").said() == [ACT, ACT]


def test_a_success_that_nobody_confirms_is_looked_at_again() -> None:
    """A lost `drift.cleared` does not leave the row open for ever, and nothing else re-decides it meanwhile."""
    machine = Machine().detect().end(resource_version=101)
    machine.give(Due())
    assert len(machine.jobs) == 1
    assert machine.until_due()
    assert len(machine.jobs) == 2


@pytest.mark.parametrize(
    ("result", "then", "chain"),
    [
        pytest.param({"outcome": Outcome.INEFFECTIVE, "reason": Reason.NOT_VERIFIED},
                     (Verdict.WAIT, Reason.NOT_VERIFIED), 1, id="ineffective"),
        pytest.param({"outcome": Outcome.UNDONE, "reason": Reason.NOT_VERIFIED},
                     (Verdict.WAIT, Reason.NOT_VERIFIED), 1, id="undone"),
        pytest.param({"outcome": Outcome.FAILED, "reason": Reason.ADMISSION_DENIED},
                     (Verdict.DENY, Reason.ADMISSION_DENIED), 1, id="denied by admission"),
        pytest.param({"outcome": Outcome.FAILED, "reason": Reason.QUOTA, "temporary": True},
                     (Verdict.WAIT, Reason.QUOTA), 0, id="quota"),
        pytest.param({"outcome": Outcome.FAILED, "reason": Reason.FORBIDDEN, "message": "missing right"},
                     (Verdict.DENY, Reason.FORBIDDEN), 0, id="forbidden"),
        pytest.param({"outcome": Outcome.FAILED, "reason": Reason.UNAVAILABLE, "temporary": True},
                     (Verdict.WAIT, Reason.UNAVAILABLE), 0, id="API server away"),
        pytest.param({"outcome": Outcome.SUPERSEDED, "reason": Reason.NO_LONGER_TRUE},
                     (Verdict.DENY, Reason.NO_LONGER_TRUE), 0, id="right already"),
        pytest.param({"outcome": Outcome.SUPERSEDED, "reason": Reason.NOT_DECLARED},
                     (Verdict.DENY, Reason.NOT_DECLARED), 0, id="not declared here"),
    ],
)  # fmt: skip
def test_every_failure_is_followed_by_a_reason_and_another_try(
    result: Any, then: tuple[Verdict, Reason], chain: int
) -> None:
    """The drift stays open with a recorded reason, and is decided again by itself."""
    machine = Machine().detect().end(**result)
    assert machine.said() == [ACT, then]
    assert machine.decisions()[-1].until is not None
    assert machine.decisions()[-1].message == result.get("message", "")
    assert machine.row
    assert machine.row.ineffective == chain
    assert machine.until_due()
    assert machine.said()[-1] == ACT


def test_a_pause_right_before_the_write_takes_the_attempt_back() -> None:
    """What never came to a write counts against nothing."""
    machine = Machine().detect()
    machine.controls = (PAUSE,)
    machine.end(Outcome.SUPERSEDED, Reason.PAUSED)
    assert machine.said() == [ACT, (Verdict.WAIT, Reason.PAUSED)]
    assert machine.row
    assert (machine.row.attempts, machine.row.tries, machine.row.ineffective) == ((), 0, 0)


def test_an_ineffective_loop_ends_and_a_person_reopens_it() -> None:
    """Three tries that do not help, then silence; resume gives three more."""
    machine = Machine().detect()
    for _ in range(20):
        if machine.row and machine.row.in_flight:
            machine.end(Outcome.INEFFECTIVE, Reason.NOT_VERIFIED)
        elif not machine.until_due():
            break
    assert len(machine.jobs) == 3
    assert machine.said()[-1] == (Verdict.DENY, Reason.INEFFECTIVE_CHAIN)
    machine.wait(86400).give(Due())
    assert len(machine.jobs) == 3
    machine.give(Resumed("r"))
    assert len(machine.jobs) == 4


def test_the_chain_goes_on_across_lives_that_an_undo_begins() -> None:
    """Corrected, in sync, not available, undone: each undo is a new drift, and yet it ends."""
    machine = Machine()
    for life in range(10):
        machine.detect(life=f"d{life}", version=100 + 10 * life)
        if not (machine.row and machine.row.in_flight):
            break
        machine.clear(life=f"d{life}", version=101 + 10 * life).end(Outcome.UNDONE, Reason.NOT_VERIFIED)
    assert len(machine.jobs) == 3
    assert machine.said()[-1] == (Verdict.DENY, Reason.INEFFECTIVE_CHAIN)


def test_another_declaration_is_another_try() -> None:
    """A new digest of the declared object forgets what did not help with the old one."""
    machine = Machine().detect(digest="old")
    for _ in range(3):
        machine.end(Outcome.INEFFECTIVE, Reason.NOT_VERIFIED)
        machine.until_due()
    assert machine.said()[-1] == (Verdict.DENY, Reason.INEFFECTIVE_CHAIN)
    machine.detect(update=1, version=100, digest="new")
    assert machine.said()[-1] == ACT


def test_another_policy_is_decided_by_at_once() -> None:
    """The policies' files have changed, and an open drift is decided again."""
    machine = Machine((policy(mode=Mode.OBSERVE),)).detect()
    machine.policies = (policy(),)
    assert machine.give(Due()).said() == [(Verdict.OBSERVE, Reason.OBSERVE_MODE), ACT]


def test_a_fight_stops_with_a_reason_and_probes() -> None:
    """Six corrections in a row, then the rival is named and the next try has its time."""
    machine = Machine()
    for life in range(7):
        machine.wait(0.2).detect(life=f"d{life}", version=100 + 10 * life, manager="rival")
        if machine.row and machine.row.in_flight:
            machine.end(resource_version=101 + 10 * life).clear(life=f"d{life}", version=101 + 10 * life)
    last = machine.decisions()[-1]
    assert (last.verdict, last.reason) == (Verdict.DENY, Reason.FIGHT)
    assert "rival" in last.message
    assert len(machine.jobs) == 6
    assert machine.until_due()
    assert len(machine.jobs) == 7


def test_an_idle_row_is_forgotten_when_nothing_depends_on_it() -> None:
    """After the longest window of any policy; at once it would forget what limits count."""
    limits = {"attempts": {"max": 3, "within": "24h"}}
    machine = Machine((policy(limits=limits),)).detect().end(resource_version=101).clear()
    machine.wait(3600).give(Due())
    assert machine.row is not None
    assert machine.until_due()
    assert machine.now == NOON + timedelta(hours=24)
    assert machine.row is None


def test_a_chain_that_waits_for_a_person_is_not_forgotten() -> None:
    """However long nobody comes."""
    machine = Machine().detect().end(Outcome.INEFFECTIVE, Reason.NOT_VERIFIED).clear()
    assert machine.row
    assert deadline(machine.row, machine.world) is None


def test_decisions_have_the_same_ids_wherever_they_are_made() -> None:
    """Replayed from the same row, every fact has the same id; another evaluation has another."""
    once, again = Machine().detect(), Machine().wait(7).detect(at=NOON)
    assert [fact.id for fact in once.facts] == [fact.id for fact in again.facts]
    machine = Machine().detect().end(Outcome.INEFFECTIVE, Reason.NOT_VERIFIED)
    machine.until_due()
    ids = [decision.decision_id for decision in machine.decisions()]
    assert len(set(ids)) == len(ids) == 3


# A run: what other writers, workers and time do to one object, with versions that grow.
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("break"), st.floats(0, 400)),
        st.tuples(st.just("update"), st.floats(0, 5)),
        st.tuples(st.just("end"), st.sampled_from(list(Outcome))),
        st.tuples(st.just("due"), st.none()),
    ),
    max_size=40,
)


def play(machine: Machine, events: list[tuple[str, Any]], repeat: Callable[[int], int]) -> None:
    """Drive a row; `repeat(n)` names an input so far to deliver once more after the n-th, -1 for none."""
    version, life, heard = 100, 0, []
    for number, (what, value) in enumerate(events):
        version += 2
        if what in ("break", "update"):
            machine.wait(value)
            life += what == "break"
            data = drift(life=f"d{life}", update=number, version=version, at=machine.now)
            heard.append(Detected(f"d{life}-{number}", f"d{life}", data))
            machine.give(heard[-1])
        elif what == "end" and machine.row and machine.row.in_flight:
            applied = value is not Outcome.SUPERSEDED
            reason = Reason.VERIFIED if value is Outcome.SUCCEEDED else Reason.NOT_VERIFIED
            machine.end(value, reason, resource_version=version if value is Outcome.SUCCEEDED else 0, applied=applied)
        elif what == "due":
            machine.until_due()
        if heard and 0 <= repeat(number) < len(heard):
            machine.give(heard[repeat(number)])


@given(events=happenings, most=st.integers(1, 4), minutes=st.integers(1, 10))
def test_never_more_attempts_than_the_limit_in_any_window(
    events: list[tuple[str, Any]], most: int, minutes: int
) -> None:
    """Whatever happens, counted from the record of starts and in a window put anywhere."""
    limits = {"attempts": {"max": most, "within": f"{minutes}m"}, "ineffective": 99}
    machine = Machine((policy(limits=limits),))
    play(machine, events, lambda _: -1)
    superseded = {one.action_id for one in machine.ended() if one.outcome is Outcome.SUPERSEDED}
    starts = [job.action.started_at for job in machine.jobs if job.action.action_id not in superseded]
    window = timedelta(minutes=minutes)
    for start in starts:
        assert sum(start <= other < start + window for other in starts) <= most


@given(events=happenings, repeats=st.lists(st.integers(-1, 10), min_size=40, max_size=40))
def test_second_deliveries_do_not_matter_wherever_they_come(events: list[tuple[str, Any]], repeats: list[int]) -> None:
    """The same is said with and without them."""
    once, twice = Machine(), Machine()
    play(once, events, lambda _: -1)
    play(twice, events, repeats.__getitem__)
    assert [fact.id for fact in twice.facts] == [fact.id for fact in once.facts]
    assert twice.row == once.row


@given(events=happenings)
def test_every_start_has_at_most_one_end_and_ids_are_never_used_twice(events: list[tuple[str, Any]]) -> None:
    """And at most one action is under way."""
    machine = Machine()
    play(machine, events, lambda _: -1)
    ids = [fact.id for fact in machine.facts]
    assert len(ids) == len(set(ids))
    started = {fact.data.action_id for fact in machine.facts if isinstance(fact.data, ActionStarted)}
    ended = {one.action_id for one in machine.ended()}
    assert ended <= started
    assert len(started - ended) == bool(machine.row and machine.row.in_flight)


UNJUDGED = (
    FindingReason.TERMINATING, FindingReason.CLAIMED_TWICE, FindingReason.FOREIGN_OWNED, FindingReason.NOT_SERVED,
    FindingReason.UNKNOWN_FIELD, FindingReason.INVALID, FindingReason.FORBIDDEN, FindingReason.DRY_RUN_REFUSED,
)  # fmt: skip


@pytest.mark.parametrize("reason", UNJUDGED)
def test_what_has_no_verdict_is_never_acted_on(reason: FindingReason) -> None:
    """Denied with the finding's own word, once, until the finding is another."""
    machine = Machine().detect(state=DriftState.UNJUDGED, reason=reason, message="why")
    assert machine.said() == [(Verdict.DENY, Reason(reason))]
    assert machine.decisions()[0].message == "why"
    assert machine.row
    assert deadline(machine.row, machine.world) is None
    machine.give(Due()).detect(state=DriftState.UNJUDGED, reason=reason, message="why", update=1, version=101)
    assert (len(machine.decisions()), machine.jobs) == (1, [])
    assert machine.detect(update=2, version=102).said()[-1] == ACT


@pytest.mark.parametrize("reason", [FindingReason.SUSPENDED, FindingReason.FAILING])
@pytest.mark.parametrize("step", ["revert", "prune"])
def test_another_tools_application_is_only_reported(reason: FindingReason, step: str) -> None:
    """What Argo CD and Flux say of themselves is theirs to mend."""
    machine = Machine((policy(do=[{step: {}}]),)).detect(reason=reason, message="why")
    assert machine.jobs == []
    assert machine.said() == [
        (Verdict.DENY, Reason(reason)) if step == "revert" else (Verdict.OBSERVE, Reason.NO_POLICY)
    ]


def test_every_finding_has_its_word_among_the_reasons() -> None:
    """So that no finding can be without an answer."""
    assert {reason.value for reason in FindingReason} <= {reason.value for reason in Reason}


IMMUTABLE: dict[str, Any] = {"reason": FindingReason.IMMUTABLE, "message": "spec.selector: field is immutable"}
RECREATE: dict[str, Any] = {"do": [{"revert": {"recreate": True}}]}
ASKED = (Verdict.ASK, Reason.IMMUTABLE)


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        pytest.param({}, ASKED, id="asked for"),
        pytest.param(RECREATE, ACT, id="allowed by recreate"),
        pytest.param({"mode": Mode.DRY_RUN}, (Verdict.OBSERVE, Reason.IMMUTABLE), id="a dry-run asks nobody"),
        pytest.param({"mode": Mode.OBSERVE}, (Verdict.OBSERVE, Reason.OBSERVE_MODE), id="observed"),
    ],
)
def test_what_cannot_change_is_asked_for(spec: Any, answer: tuple[Verdict, Reason]) -> None:
    """Unless the policy allows to make the object anew."""
    machine = Machine((policy(**spec),)).detect(**IMMUTABLE)
    assert machine.said() == [answer]
    assert (len(machine.jobs) == 1) is (answer == ACT)


def test_a_question_is_asked_once_until_the_drift_is_another() -> None:
    """Said again it is the same question; another difference is another one, and `recreate` answers both."""
    machine = Machine().detect(**IMMUTABLE)
    machine.give(Due()).detect(update=1, version=101, **IMMUTABLE).wait(3600).give(Due())
    assert machine.said() == [ASKED]
    machine.detect(update=2, version=102, live=7, **IMMUTABLE)
    assert machine.said() == [ASKED, ASKED]
    machine.policies = (policy(**RECREATE),)
    assert machine.give(Due()).said()[-1] == ACT


def test_what_an_attempt_has_shown_to_be_immutable_is_asked_for() -> None:
    """It is not tried again in vain; another drift, a person's word or `recreate` opens it again."""
    machine = Machine().detect().end(Outcome.FAILED, Reason.IMMUTABLE, message="selector")
    assert machine.said() == [ACT, ASKED]
    assert machine.decisions()[-1].message == "selector"
    assert not machine.until_due()
    machine.detect(update=1, version=101)
    assert machine.said() == [ACT, ASKED]
    again = Machine(row=machine.row).give(Resumed("r1"))
    assert again.said() == [ACT]
    other = Machine(row=machine.row).detect(update=2, version=102, live=9)
    assert other.said() == [ACT]
    allowed = Machine((policy(**RECREATE),), row=machine.row).give(Due())
    assert allowed.said() == [ACT]
    assert allowed.jobs[0].step.recreates


@pytest.mark.parametrize("reason", [Reason.IMMUTABLE, Reason.HOLDS_DATA])
def test_what_even_recreate_could_not_mend_is_not_tried_at_once(reason: Reason) -> None:
    """It is denied for a while, ever longer, and in the end the chain of failures stops it."""
    machine = Machine((policy(**RECREATE),)).detect()
    for count in range(1, 4):
        began = machine.now
        machine.end(Outcome.FAILED, reason)
        assert machine.said()[-1] == ((Verdict.DENY, reason) if count < 3 else (Verdict.DENY, Reason.INEFFECTIVE_CHAIN))
        if count < 3:
            assert machine.until_due()
            assert (machine.now - began).total_seconds() >= 60 * count
            assert machine.said()[-1] == ACT
    assert len(machine.jobs) == 3


@pytest.mark.parametrize(
    ("prune", "spec", "answer"),
    [
        pytest.param(None, {"do": [{"prune": {}}]}, (Verdict.OBSERVE, Reason.UNWANTED), id="nothing said"),
        pytest.param("report", {"do": [{"prune": {}}]}, (Verdict.OBSERVE, Reason.UNWANTED), id="reported"),
        pytest.param("delete", {}, (Verdict.OBSERVE, Reason.NO_POLICY), id="a policy that only reverts"),
        pytest.param("delete", {"do": [{"prune": {}}], "baseline": "other"}, (Verdict.OBSERVE, Reason.NO_POLICY),
                     id="another baseline's policy"),
        pytest.param("delete", {"do": [{"prune": {}}], "mode": Mode.OBSERVE}, (Verdict.OBSERVE, Reason.OBSERVE_MODE),
                     id="a policy that observes"),
        pytest.param("ask", {"do": [{"prune": {}}]}, (Verdict.ASK, Reason.UNWANTED), id="asked for"),
        pytest.param("delete", {"do": [{"revert": {}}, {"prune": {}}]}, ACT, id="both want it"),
    ],
)  # fmt: skip
def test_what_is_unwanted_is_deleted_only_where_baseline_and_policy_want_it(
    prune: Any, spec: Any, answer: tuple[Verdict, Reason]
) -> None:
    """The baseline says how far, an enforcing policy with a `prune` step says whether."""
    machine = Machine((policy(**spec),)).detect(state=DriftState.UNWANTED, prune=prune, message="carries the label")
    assert machine.said() == [answer]
    assert [job.action.action for job in machine.jobs] == (["prune"] if answer == ACT else [])
    assert "carries the label" in machine.decisions()[0].message or answer[1] is Reason.NO_POLICY


def test_a_prune_is_recorded_under_its_name_and_waits_for_the_watcher() -> None:
    """Started and finished as `prune`; what was seen to be gone is not deleted again."""
    machine = Machine((policy(do=[{"prune": {}}]),)).detect(state=DriftState.UNWANTED, prune="delete").end()
    names = [fact.data.action for fact in machine.facts if isinstance(fact.data, ActionStarted | ActionFinished)]
    assert names == ["prune", "prune"]
    assert machine.give(Due()).said() == [ACT]
    assert machine.clear(version=100).row
    assert machine.row
    assert machine.row.drift is None


def test_a_policy_without_a_revert_step_leaves_other_drift_alone() -> None:
    """The first policy that has a step for a drift decides it."""
    policies = (policy("a", do=[{"prune": {}}]), policy("b"))
    machine = Machine(policies).detect()
    assert machine.decisions()[0].policy == "b"


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Namespace"])
@pytest.mark.parametrize("state", [DriftState.UNWANTED, DriftState.CHANGED])
def test_what_holds_data_is_never_deleted(kind: str, state: DriftState) -> None:
    """Whatever baseline and policy say, and nobody is asked."""
    both = policy(do=[{"revert": {"recreate": True}}, {"prune": {}}])
    data = drift(target_of(kind=kind), state=state, prune="delete", **IMMUTABLE)
    row = TargetState(target=data.target)
    made = step(row, Detected("e1", "d1", data), World(NOON, (both,), (), Bounds("c1")))
    (fact,) = made.facts
    assert isinstance(fact.data, DecisionMade)
    assert (fact.data.verdict, fact.data.reason, made.job) == (Verdict.DENY, Reason.HOLDS_DATA, None)
