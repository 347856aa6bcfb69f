"""What an action is: plan, apply, verify, undo. An action touches the cluster only through its context's hands.

Every method may raise `ApiError`; the worker that runs the action turns it into an outcome. `plan` reads only, `apply`
must be safe to repeat, and `undo` is called only after a verification that failed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from schemas.events import DriftDetected
from schemas.policy import Step
from schemas.target import Target
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object
from services.kube.verdict.judge import Finding
from services.reconciler.acting.hands import Hands
from services.runtime.clock import Clock


@dataclass(frozen=True)
class Rule:
    """Rights that an action needs, as in a Role: group and resource (`*` for whatever the baselines name), verbs."""

    group: str
    resource: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What an action works with. `plan_only`: its plan is for people to read, nothing will be applied.

    `declared` is None where nobody declares the target. `drift` is what it was decided for, None where that is known no
    more. `resumed`: it is taken up again after a crash.
    """

    hands: Hands
    target: Target
    declared: Declared | None
    step: Step
    clock: Clock
    drift: DriftDetected | None = None
    plan_only: bool = False
    resumed: bool = False

    @property
    def declaration(self) -> Declared:
        """The declared object, for actions that are about one."""
        assert self.declared
        return self.declared


@dataclass(frozen=True)
class Plan:
    """What would be done: from `live` (None where it is missing) to what is wanted, because of `finding`.

    A finding without a state means that nothing needs to be done, one that is unjudged that nothing may. `spared`: that
    is so because the object is another matter by now, and not because the action has done it before.
    """

    live: Object | None
    finding: Finding
    spared: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a verification saw last. `unmet` is None where all is as it should be, else what is missing in words."""

    live: Object | None
    unmet: str | None = None


class Action(ABC):
    """One kind of action; stateless, one instance serves all workers."""

    name: ClassVar[str]
    needs: ClassVar[tuple[Rule, ...]]
    declared: ClassVar[bool]  # whether it is about objects that are declared, or about those that are not

    @abstractmethod
    async def plan(self, context: Context) -> Plan:
        """Look, and say what would be done."""

    @abstractmethod
    async def apply(self, plan: Plan, context: Context) -> Object | None:
        """Do it; the object as stored, None where there is none any more."""

    @abstractmethod
    async def verify(self, stored: Object | None, context: Context, within: timedelta) -> Verdict:
        """Look until it holds, at most for `within`; `stored` is what is known already."""

    @abstractmethod
    async def undo(self, plan: Plan, stored: Object, context: Context) -> str | None:
        """Let stand again what stood before; None where it does, else why it was left."""
