"""Ask people about a plan, and take in what they say. A question is single use, ends by itself, and the end means no.

The approval is bound to the plan that was shown (its hash) and to the course of the steps that follow: where either is
another by the time it would be carried out, people are asked again.
"""

from schemas.approvals import (
    AnswerKind,
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
    RefusedAnswer,
)
from schemas.events import Reason, Verdict, stable_id
from schemas.ledger import Case, Question, TargetState
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.cases.rows import and_then, fact, tell, updated, with_case
from services.reconciler.decide import Answer
from services.reconciler.inputs import Ended, Fact, Step, World

GROUP = "group:"
LONGEST_PLAN = 4000


def ask(state: TargetState, case: Case, policy: Policy, ended: Ended, course: str, world: World) -> Step:
    """The plan is made: put the question."""
    approve = policy.spec.approve
    assert approve
    hash = stable_id(ended.plan_hash, course)
    approval_id = stable_id(case.event_id, policy.name, case.evaluation, hash)
    ends = world.now + approve.timeout
    actions = [step.action for step in policy.spec.do[case.step :]]
    told = tell(
        state, case, policy, Answer(Verdict.ASK, Reason.APPROVAL, ended.words, ends), ends, actions[0], None
    )  # fmt: skip
    question = Question(
        approval_id=approval_id, plan_hash=f"{ended.plan_hash} {course}", asked_at=world.now, ends_at=ends,
        by=approve.by, count=approve.count, requester=case.resumed_by,
    )  # fmt: skip
    requested = ApprovalRequested(
        approval_id=approval_id, target=state.target, decision_id=told.facts[0].id if told.facts else "",
        alert_id=case.alert.alert_id, policy=policy.name, action=", ".join(actions),
        why=f"{case.alert.name}: {case.alert.summary}".rstrip(": "), plan=ended.plan[:LONGEST_PLAN], plan_hash=hash,
        by=approve.by, count=approve.count, where=approve.where, asked_at=world.now, ends_at=ends,
        requester=case.resumed_by,
    )  # fmt: skip
    assert told.state is not None
    asked = next(one for one in told.state.cases if one.alert.alert_id == case.alert.alert_id)
    after = with_case(told.state, updated(asked, question=question, approved=None))
    return and_then(told, Step(after, (fact(case, requested, stable_id(approval_id, "requested")),)))


def answered(state: TargetState, case: Case, given: ApprovalAnswered, cause: str, world: World) -> Step:
    """A person's answer: refused, counted, or the last one that was needed."""
    question = case.question
    assert question is not None
    assert question.approval_id == given.approval_id
    why = refusal(question, given, world)
    if why is not None:
        return Step(state, (refused(state.target, given, why, case.correlation_id, cause),))
    if given.answer is AnswerKind.DENY:
        return _closed(state, case, ApprovalEnd.DENIED, (given.by,), world, cause, given.note)
    yes = (*question.yes, given.by)
    if len(yes) < question.count:
        return Step(with_case(state, updated(case, question=question.model_copy(update={"yes": yes}))))
    return _closed(state, case, ApprovalEnd.APPROVED, yes, world, cause, given.note)


def refusal(question: Question, given: ApprovalAnswered, world: World) -> RefusedAnswer | None:
    """Why an answer does not count; None where it does."""
    if given.at >= question.ends_at or world.now >= question.ends_at:
        return RefusedAnswer.ENDED
    if question.by and not any(_is(given.by, name, world) for name in question.by):
        return RefusedAnswer.NOT_AN_APPROVER
    if given.by == question.requester and given.answer is AnswerKind.APPROVE:
        return RefusedAnswer.OWN_REQUEST
    return RefusedAnswer.TWICE if given.by in question.yes and given.answer is AnswerKind.APPROVE else None


def refused(target: Target, given: ApprovalAnswered, why: RefusedAnswer, correlation: str, cause: str) -> Fact:
    """An answer that does not count."""
    data = ApprovalRefused(
        approval_id=given.approval_id, target=target, by=given.by, via=given.via, at=given.at, why=why
    )  # fmt: skip
    return Fact(data, stable_id(cause, "refused"), cause, correlation)


def expire(state: TargetState, case: Case, world: World) -> Step:
    """Nobody has answered in time, which means no."""
    return _closed(state, case, ApprovalEnd.EXPIRED, (), world, None, "")


def withdraw(state: TargetState, case: Case, world: World, note: str, cause: str | None = None) -> Step:
    """Take an open question back; nothing where there is none."""
    if case.question is None:
        return Step(state)
    return _closed(state, case, ApprovalEnd.SUPERSEDED, (), world, cause, note)


def _closed(
    state: TargetState, case: Case, outcome: ApprovalEnd, by: tuple[str, ...], world: World, cause: str | None,
    note: str,
) -> Step:  # fmt: skip
    question = case.question
    assert question is not None
    approved = question.plan_hash if outcome is ApprovalEnd.APPROVED else None
    data = ApprovalClosed(
        approval_id=question.approval_id, target=state.target, outcome=outcome, by=by, at=world.now, note=note
    )  # fmt: skip
    after = with_case(state, updated(case, question=None, approved=approved, retry_at=None))
    return Step(after, (fact(case, data, stable_id(question.approval_id, "closed"), cause),))


def _is(user: str, name: str, world: World) -> bool:
    if name.startswith(GROUP):
        return user in world.groups.get(name.removeprefix(GROUP), frozenset())
    return user == name
