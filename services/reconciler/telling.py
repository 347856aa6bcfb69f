"""What the reconciler says of itself besides its events: one log line a decision and an action, and metrics."""

from collections.abc import Iterable

from schemas.approvals import ApprovalClosed, ApprovalRefused, ApprovalRequested
from schemas.events import ActionFinished, DecisionMade
from services.reconciler.book import Outcome
from services.reconciler.inputs import Ended, Fact, Result
from services.reconciler.records import DeadLetter
from services.runtime.logging import Log
from services.runtime.metrics import Metrics


def tell_outcome(metrics: Metrics, log: Log, outcome: Outcome, dead: Iterable[DeadLetter]) -> None:
    """After the commit: what was decided and what has ended."""
    for fact in outcome.facts:
        _fact(metrics, log, fact)
    for letter in dead:
        headers = {name: value.decode(errors="replace") for name, value in letter.headers}
        metrics.inc("dead_letters_total", topic=headers["original-topic"])
        log.warning(
            "unreadable record put to the dead letters", topic=headers["original-topic"],
            partition=headers["original-partition"], offset=headers["original-offset"], error=headers["error"],
        )  # fmt: skip


def tell_result(metrics: Metrics, result: Result | Ended) -> None:
    """Where an action's time went."""
    for phase, spent_ms in (("plan", result.plan_ms), ("apply", result.apply_ms), ("verify", result.verify_ms)):
        if spent_ms:
            metrics.observe("action_seconds", spent_ms / 1000, phase=phase)


def tell_failure(metrics: Metrics, log: Log, partition: int, error: Exception, was_fenced: bool) -> None:
    """The partition's state was dropped."""
    if was_fenced:
        metrics.inc("fences_total")
        log.warning("another owner took the partition over", partition=partition)
    else:
        metrics.inc("loop_errors_total")
        log.warning("partition starts over", partition=partition, error=f"{type(error).__name__}: {error}")


def _fact(metrics: Metrics, log: Log, fact: Fact) -> None:
    data = fact.data
    if isinstance(data, DecisionMade):
        metrics.inc("decisions_total", verdict=data.verdict, reason=data.reason)
        log.info(
            "decided", target=data.target.subject, correlation=fact.correlation, verdict=data.verdict,
            reason=data.reason, policy=data.policy, until=data.until and data.until.isoformat(), action=data.action,
        )  # fmt: skip
    elif isinstance(data, ActionFinished):
        metrics.inc("actions_total", outcome=data.outcome)
        log.info(
            "acted", action=data.action, target=data.target.subject, correlation=fact.correlation, outcome=data.outcome,
            reason=data.reason, policy=data.policy, attempt=data.attempt, resumed=data.resumed,
        )  # fmt: skip
    elif isinstance(data, ApprovalRequested | ApprovalClosed | ApprovalRefused):
        metrics.inc("approvals_total", event=_word(data))
        log.info(
            f"approval {_word(data)}", target=data.target.subject, correlation=fact.correlation,
            approval_id=data.approval_id,
        )  # fmt: skip


def _word(data: ApprovalRequested | ApprovalClosed | ApprovalRefused) -> str:
    if isinstance(data, ApprovalRequested):
        return "requested"
    return "refused" if isinstance(data, ApprovalRefused) else data.outcome
