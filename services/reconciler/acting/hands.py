"""What an action may do to a cluster, as a protocol, so that a test can stand a fake in its place.

`KubeHands` is the real one, over the kube floor. Nothing here decides anything.
"""

from typing import Protocol

from services.kube.api.cluster import Cluster
from services.kube.correction.revert import put_away, put_back, put_forward
from services.kube.declaration.baselines import Declared
from services.kube.declaration.origins.motion import refuse_moving
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.judge import Finding, judge


class Hands(Protocol):
    """Every method raises `services.kube.api.errors.ApiError`s."""

    @property
    def name(self) -> str:
        """The cluster's name, as targets carry it."""

    async def get(self, declared: Declared) -> Object | None:
        """The live object in the declared version, None where there is none."""

    async def judge(self, declared: Declared, live: Object | None, *, quick: bool = False) -> Finding:
        """Whether the live object is at its declared state; `quick` right before the write that would make it so."""

    async def find(self, key: ObjectKey) -> Object | None:
        """The live object in whatever version, declared or not."""

    async def put_back(
        self, declared: Declared, live: Object | None, finding: Finding, *, recreate: bool = False
    ) -> Object:
        """Make the live object as declared; the object as stored. `recreate`: delete it first where nothing else helps.

        Conflict where somebody wrote meanwhile.
        """

    async def put_forward(self, before: Object | None, after: Object) -> None:
        """Undo: let `before` stand again in the place of `after`. Conflict where somebody wrote after that."""

    async def put_away(self, live: Object) -> None:
        """Delete exactly this object; Conflict where it has changed since."""


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
        finding = await judge(self.cluster, declared, live, quick=quick)
        if finding.state:
            await refuse_moving(self.cluster, declared)
        return finding

    async def find(self, key: ObjectKey) -> Object | None:
        return await self.cluster.get(key)

    async def put_back(
        self, declared: Declared, live: Object | None, finding: Finding, *, recreate: bool = False
    ) -> Object:
        return await put_back(self.cluster, declared, live, finding, recreate=recreate)

    async def put_forward(self, before: Object | None, after: Object) -> None:
        await put_forward(self.cluster, before, after)

    async def put_away(self, live: Object) -> None:
        await put_away(self.cluster, live)
