"""What an action may do to a cluster, as a protocol, so that a test can stand a fake in its place.

`KubeHands` is the real one, over the kube floor. Nothing here decides anything.
"""

from typing import Protocol

from services.kube.baselines import Declared
from services.kube.cluster import Cluster
from services.kube.judge import Finding, judge
from services.kube.objects import Object
from services.kube.revert import put_back, put_forward


class Hands(Protocol):
    """Every method raises `services.kube.errors.ApiError`s."""

    @property
    def name(self) -> str:
        """The cluster's name, as targets carry it."""

    async def get(self, declared: Declared) -> Object | None:
        """The live object in the declared version, None where there is none."""

    async def judge(self, declared: Declared, live: Object | None, *, quick: bool = False) -> Finding:
        """Whether the live object is at its declared state; `quick` right before the write that would make it so."""

    async def put_back(self, declared: Declared, live: Object | None, finding: Finding) -> Object:
        """Make the live object as declared; the object as stored."""

    async def put_forward(self, before: Object | None, after: Object) -> None:
        """Undo: let `before` stand again in the place of `after`. Conflict where somebody wrote after that."""


class KubeHands:
    """The real hands."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def name(self) -> str:
        return self.cluster.name

    async def get(self, declared: Declared) -> Object | None:
        return await self.cluster.get(declared.key, declared.version)

    async def judge(self, declared: Declared, live: Object | None, *, quick: bool = False) -> Finding:
        return await judge(self.cluster, declared, live, quick=quick)

    async def put_back(self, declared: Declared, live: Object | None, finding: Finding) -> Object:
        return await put_back(self.cluster, declared, live, finding)

    async def put_forward(self, before: Object | None, after: Object) -> None:
        await put_forward(self.cluster, before, after)
