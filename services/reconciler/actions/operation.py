"""What an action on an alert or a schedule is: plan, apply, verify, undo, and the rights that it needs.

One file each, one stateless instance each. An operation touches the cluster through its scene's `api` only, and the
rest of the world through `outside`. Every method may raise `ApiError`; the worker turns it into an outcome. `plan`
reads (and dry-runs) only; `apply` is safe to repeat with the same `action_id`, in whatever process; `undo` needs
nothing but what `plan` put into `before`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from schemas.actions import Parameters
from schemas.alerts import AlertFired
from schemas.base import EventModel
from schemas.events import FieldChange, stable_id
from schemas.ledger import Place
from schemas.target import Target
from services.kube.api.operate import Operate
from services.reconciler.actions.base import Rule
from services.reconciler.guards.base import Denial
from services.runtime.clock import Clock

P = TypeVar("P", bound=Parameters)

MARK = "setpoint.dev/action"
"""The annotation that an operation leaves on what it writes: the action's id, so that a second run knows its own."""


class Outside(Protocol):
    """What is not the cluster: other systems' HTTP interfaces, and the operator's secrets for them."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """POST; the status and at most 64 KiB of the answer. Follows no redirect. Raises Unavailable or TimedOut."""

    async def delete(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """DELETE, in the same way."""

    async def get(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """GET, in the same way, at most 4 MiB of the answer."""

    def secret(self, name: str) -> bytes | None:
        """The operator's secret of that name, None where there is none."""


@dataclass(frozen=True)
class Scene(Generic[P]):
    """What an operation works with. `plan_only`: its plan is for people to read. `resumed`: taken up after a crash."""

    api: Operate
    outside: Outside
    clock: Clock
    parameters: P
    action_id: str
    policy: str
    alert: AlertFired
    place: Place
    mask_key: bytes
    plan_only: bool = False
    resumed: bool = False


@dataclass(frozen=True)
class Plan:
    """What would be done.

    `words`: one line, such as `restart Deployment payments/api`. `changes`: the server-side diff, Secrets masked.
    `touches`: every object that is written, deleted or put out of service, pods included. `so`: the wanted state is
    there already; with `ours` this very action made it, before a crash. `denial`: the cluster itself says no, or later.
    `before`: JSON, what `undo` needs. `state`: whatever `apply` and `unmet` want to find again.
    """

    target: Target | None
    words: str
    changes: tuple[FieldChange, ...] = ()
    touches: tuple[Target, ...] = ()
    so: bool = False
    ours: bool = False
    denial: Denial | None = None
    before: dict[str, Any] = field(default_factory=dict)
    state: Any = None

    @property
    def hash(self) -> str:
        """What an approval is bound to: the same for the same doing to the same objects. Counts of replicas that come
        and go, resourceVersions and times are no part of it."""
        uid = self.target.uid if self.target else ""
        changes = sorted((change.path, change.kind, repr(change.live), repr(change.desired)) for change in self.changes)
        return stable_id(self.words, uid, changes)


@dataclass(frozen=True)
class Applied:
    """What came of it. `facts` are events to publish with the action's end; `state` goes to `unmet`."""

    facts: tuple[EventModel, ...] = ()
    state: Any = None
    words: str = ""


class Operation(ABC, Generic[P]):
    """One kind of action on an alert or a schedule."""

    name: ClassVar[str]
    example: ClassVar[str]
    """A `do` item in YAML, as `setpoint actions` prints it."""
    reversible: ClassVar[bool] = False
    """Whether `undo` can do anything."""

    @abstractmethod
    def rules(self, parameters: P) -> tuple[Rule, ...]:
        """The rights that it needs, as far as the parameters, whose templates may not be filled, tell."""

    @abstractmethod
    async def plan(self, scene: Scene[P]) -> Plan:
        """Look, dry-run, and say what would be done."""

    @abstractmethod
    async def apply(self, plan: Plan, scene: Scene[P]) -> Applied:
        """Do it."""

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[P]) -> str | None:
        """One look at whether it came to what was wanted; None where it did, else what is missing, in words."""
        return None

    async def undo(self, before: Mapping[str, Any], scene: Scene[P]) -> str | None:
        """Let stand again what stood before; None where it does, else why it was left."""
        return "it cannot be undone"

    def lift_after(self, parameters: P) -> float | None:
        """After how many seconds it is undone by itself; None: never."""
        return None
