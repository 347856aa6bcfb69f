"""What the guards' tests share: a policy on alerts, a case of it, and a cluster's attempts as they are granted."""

from datetime import datetime, timedelta
from typing import Any

from schemas.alerts import AlertFired, Severity
from schemas.events import Outcome, Reason
from schemas.ledger import Attempt, Case, TargetState
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.guards import Bounds, Guard, Request
from services.reconciler.tally import Tally
from tests.reconciler_kit import NOON, target_of

BOUNDS = Bounds("c1", frozenset({"kube-system"}))


def on_alert(name: str = "restart", do: Any = None, **spec: Any) -> Policy:
    document = {
        "apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
        "spec": {"trigger": {"alert": "*", **spec.pop("trigger", {})}, "mode": "enforce",
                 "do": do or [{"restart": {}}], **spec},
    }  # fmt: skip
    return Policy.model_validate(document)


def case(target: Target | None = None, onset: datetime = NOON, life: str = "a1", **more: Any) -> Case:
    fired = AlertFired(
        alert_id=life, target=target or target_of(), source="test", sender="x", name="Bad", severity=Severity.ERROR,
        lasting=True, onset=onset, fired_at=onset,
    )  # fmt: skip
    return Case(alert=fired, event_id=f"e-{life}", correlation_id=life, **more)


def asked(policy: Policy | None = None, of: Case | None = None, *, now: datetime = NOON, **more: Any) -> Request:
    """May this policy restart the alert's own target?"""
    policy, of = policy or on_alert(), of or case()
    given = {"subject": of.alert.target, "action": policy.spec.do[of.step].action, "bounds": BOUNDS, **more}
    state = given.pop("state", TargetState(target=of.alert.target, cases=(of,)))
    return Request(
        state=state, drift=None, policy=policy, controls=given.pop("controls", ()), now=now, case=of, **given
    )


def tried(
    age: float, policy: str = "restart", outcome: Outcome | None = Outcome.SUCCEEDED, action: str = "restart",
    reason: Reason | None = None, **more: Any,
) -> Attempt:  # fmt: skip
    return Attempt(
        policy=policy, at=NOON - timedelta(seconds=age), action=action, outcome=outcome, reason=reason, **more
    )


class Platform:
    """Rows and their tally, as a book keeps them."""

    def __init__(self) -> None:
        self.rows: dict[str, TargetState] = {}
        self.tally = Tally()
        self.began: list[datetime] = []

    def attempt(self, target: Target, attempt: Attempt) -> None:
        row = self.rows.get(target.subject) or TargetState(target=target)
        self.rows[target.subject] = row.model_copy(update={"attempts": (*row.attempts, attempt)})
        self.tally.put(self.rows[target.subject])
        self.began.append(attempt.at)

    def ends(self, target: Target, outcome: Outcome, reason: Reason | None = None) -> None:
        """The newest attempt on a target ends."""
        row = self.rows[target.subject]
        last = row.attempts[-1].model_copy(update={"outcome": outcome, "reason": reason})
        self.rows[target.subject] = row.model_copy(update={"attempts": (*row.attempts[:-1], last)})
        self.tally.put(self.rows[target.subject])

    def may(self, guard: Guard, policy: Policy, target: Target, now: datetime, bounds: Bounds = BOUNDS) -> bool:
        """Ask, and act where nothing speaks against it. A denial that ends by itself must end later than now."""
        denial = guard(asked(policy, case(target), now=now, tally=self.tally, bounds=bounds))
        assert denial is None or denial.until is None or denial.until > now
        if denial is None:
            self.attempt(target, Attempt(policy=policy.name, at=now, action=policy.spec.do[0].action))
        return denial is None

    def most_within(self, within: timedelta) -> int:
        """The most attempts that any stretch of this length holds."""
        return max(
            (sum(at - within < other <= at for other in self.began) for at in self.began), default=0
        )  # fmt: skip
