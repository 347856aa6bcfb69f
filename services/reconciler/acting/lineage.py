"""Which workload a pod, or another object, belongs to: from controller to controller, the uid compared at each hop.

A name says nothing about identity: an owner that is gone, or whose name another object has by now, is no workload.
What was found is remembered by the lowest owner's uid for some minutes, so that a storm of pods of one workload asks
for that workload once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from schemas.target import Target
from services.kube.api.errors import Forbidden, Invalid, NotFound
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of, split_api_version
from services.runtime.clock import Clock, SystemClock

FRESH_S = 300.0
MOST = 4096
HOPS = 4
LONGEST_SHOWN = 200
THROUGH = frozenset({("apps", "ReplicaSet"), ("batch", "Job"), ("", "ReplicationController")})
"""What others make for themselves: the workload is whoever controls it, where somebody does."""


@dataclass(frozen=True)
class Line:
    """Where the way up ended. `live` is the workload itself; without one `message` says why, "" where it has none."""

    workload: Target | None = None
    live: Object | None = None
    application: Target | None = None
    message: str = ""


@dataclass
class Lines:
    """Those found lately, by the uid of the lowest owner; bounded, the longest unused goes first."""

    clock: Clock = field(default_factory=SystemClock)
    most: int = MOST
    fresh_s: float = FRESH_S
    kept: OrderedDict[str, tuple[float, Line]] = field(default_factory=OrderedDict)
    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def get(self, uid: str, find: Callable[[], Awaitable[Line]]) -> Line:
        """The line kept for `uid`, or found now: one at a time for one uid. A line without a workload is not kept."""
        turn = self.turns.setdefault(uid, asyncio.Lock())
        async with turn:
            kept = self.kept.pop(uid, None)
            if kept is None or self.clock.monotonic() - kept[0] > self.fresh_s:
                kept = self.clock.monotonic(), await find()
            if kept[1].workload is not None:
                self.kept[uid] = kept  # as the youngest
            while len(self.kept) > self.most:
                self.kept.popitem(last=False)
            return kept[1]


def controller_of(live: Object) -> tuple[str, str, str, str] | None:
    """Group, kind, name and uid of the one that controls it, None where nobody does."""
    owners = metadata_of(live).get("ownerReferences")
    for one in owners if isinstance(owners, list) else ():
        if one.get("controller"):
            return split_api_version(str(one["apiVersion"]))[0], str(one["kind"]), str(one["name"]), str(one["uid"])
    return None


async def climb(api: Operate, target: Target, live: Object) -> Line:
    """From an object that is there up to its workload. `target` is the object's own.

    Raises ApiError where the cluster does not answer; a missing right is the line's message.
    """
    for _ in range(HOPS):
        above = controller_of(live)
        if above is None or not _goes_through(target, above):
            return Line(target, live)
        owner = _owner(api, target, above)
        found = await _look(api, owner)
        if isinstance(found, str):
            return Line(message=found)
        target, live = owner, found
    return Line(message=f"{target.kind} {target.name} has too many owners above each other")


def _goes_through(target: Target, above: tuple[str, str, str, str]) -> bool:
    here = (target.group, target.kind)
    return here in THROUGH or (here == ("", "Pod") and above[:2] != ("", "Node"))


def _owner(api: Operate, target: Target, above: tuple[str, str, str, str]) -> Target:
    """Where the owner is: beside what it owns, or without a namespace where its kind has none."""
    group, kind, name, uid = above
    resource = api.cluster.catalogue.find(group, kind)
    namespace = target.namespace if resource is None or resource.namespaced else ""
    return Target(cluster=target.cluster, group=group, kind=kind, namespace=namespace, name=name, uid=uid)


async def _look(api: Operate, owner: Target) -> Object | str:
    """The owner, or why there is none. Whoever makes a pod writes its owners: what they name is not believed."""
    what = f"its owner {owner.kind} {owner.namespace}/{owner.name}"[:LONGEST_SHOWN]
    try:
        live = await api.get(owner)
    except Forbidden as error:
        return f"{what} may not be read: {error.message}"
    except NotFound:
        return f"{what} is of a kind that is not served"
    except Invalid:
        return f"{what} cannot be an object"
    if live is None:
        return f"{what} is gone"
    return live if metadata_of(live).get("uid") == owner.uid else f"{what} is gone, another object has its name"
