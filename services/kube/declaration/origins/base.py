"""What every source in a cluster is, seen from outside: something that can be read, and says what it declares."""

from typing import NamedTuple, Protocol

from services.kube.api.cluster import Cluster
from services.kube.declaration.baselines import Declared


class Found(NamedTuple):
    """What a source declares now. `problems` are lines about what of it could not be read; the rest counts."""

    objects: tuple[Declared, ...] = ()
    problems: tuple[str, ...] = ()


class Reader(Protocol):
    """One baseline's source. Keeps what it has read, so that only what is new is fetched again."""

    async def read(self, cluster: Cluster) -> Found:
        """What is declared now. Raises ApiError where it cannot be read at all."""
