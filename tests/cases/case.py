"""One situation of the case suite as data: what is declared, what happens to it, and what a drift engine should say.

Read by `test_cases.py`, which plays it on the real control plane, and by `table.py`, which tells it in docs. Every
module `tests/cases/cases_*.py` has a tuple `CASES`. A case's id begins with its number, `17-sidecar-injected`; several
situations may share one, and beside each "no drift" stands its mirror, in which a person did the same.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

from services.kube.objects import Object

if TYPE_CHECKING:
    from tests.cases.scene import Scene

Maker = Callable[[str, str], Object]
"""(namespace, name) → manifest. The name is of this case only, so cluster-scoped kinds may use it too."""

Step = Callable[["Scene"], Awaitable[object]]
"""What a controller, webhook or person does on the real server."""

SERVERS_WORD = frozenset({"immutable", "invalid", "dry-run-refused", "forbidden"})
"""Reasons that only the asked server gives; the local engine alone has none of them."""


class Peers(TypedDict):
    """What the others do, as their documentation and issues say, for `**` where several cases share it."""

    argocd: str
    flux: str


class Deployed(StrEnum):
    """How the object came into the cluster, and by which field manager unless the case names one."""

    APPLY = "server-side apply"  # by "deployer", which owns exactly what it declares
    POST = "create"  # by "helm", which then owns all defaults
    CLIENT_APPLY = "kubectl apply"  # by "kubectl-client-side-apply", with its note in an annotation
    NOTHING = "nothing"  # the case puts it there itself, or it is missing


APPLIERS = {
    Deployed.APPLY: "deployer", Deployed.POST: "helm", Deployed.CLIENT_APPLY: "kubectl-client-side-apply",
    Deployed.NOTHING: "deployer",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What an engine says. `fields` are (path, kind), list items at their index in the live object.

    `manager` is who wrote the live values: one name for all of them, or by path; None where nothing proves anybody.
    Removed fields have no writer and are not asked for one.
    """

    state: str | None = None
    fields: frozenset[tuple[str, str]] = frozenset()
    manager: str | Mapping[str, str | None] | None = None
    reason: str | None = None

    def writer(self, path: str) -> str | None:
        """Who is to be told as the writer of a field."""
        return self.manager.get(path) if isinstance(self.manager, Mapping) else self.manager

    def without_server(self) -> "Verdict":
        """The same from an engine that asks nobody."""
        return Verdict(self.state, self.fields, self.manager, None if self.reason in SERVERS_WORD else self.reason)


NO_DRIFT = Verdict()
MISSING = Verdict("missing")


def drift(
    *fields: tuple[str, str], manager: str | Mapping[str, str | None] | None = None, reason: str | None = None
) -> Verdict:
    """Fields differ: `drift(("/spec/replicas", "changed"), manager="kubectl-edit")`."""
    return Verdict("changed", frozenset(fields), manager, reason)


def unjudged(reason: str, *fields: tuple[str, str], manager: str | Mapping[str, str | None] | None = None) -> Verdict:
    """No verdict, and why."""
    return Verdict("unjudged", frozenset(fields), manager, reason)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Played in this order: `before`, deploy `stored` (or `declared`), `then`; then both engines judge what is there.

    `argocd` and `flux` are their documented behaviour in a few words, "no drift" and "not seen" among them. `local` is
    the read-only engine's verdict where it differs from `expect`, and `because` says why it may. `reader` judges with a
    token that may only read. `ignore`, `trusted`, `rivals` and `take_over` are the baseline's.

    Drift is then corrected, and both what is left to others must stay and no drift be left; `fix` is the refusal's
    cause where that cannot be.
    """

    id: str
    title: str
    declared: Maker
    argocd: str
    flux: str
    deployed: Deployed = Deployed.APPLY
    by: str = ""
    stored: Maker | None = None
    before: Step | None = None
    then: Step | None = None
    expect: Verdict = NO_DRIFT
    local: Verdict | None = None
    because: str = ""
    ignore: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    take_over: bool = False
    reader: bool = False
    fix: str = "corrected"

    def __post_init__(self) -> None:
        if bool(self.local) != bool(self.because):
            raise ValueError(f"{self.id}: a local verdict of its own needs its reason, and no other")

    @property
    def number(self) -> str:
        """`17`, or `6.1` for a point of its own."""
        return self.id.partition("-")[0]

    @property
    def manager(self) -> str:
        """The field manager that applies the baseline."""
        return self.by or APPLIERS[self.deployed]

    @property
    def expect_fix(self) -> str:
        """What a correction is to come to, empty where there is nothing to correct or no right to."""
        return self.fix if self.expect.state in ("changed", "missing") and not self.reader else ""

    @property
    def expect_local(self) -> Verdict:
        """What the read-only engine is to say."""
        return self.local or self.expect.without_server()
