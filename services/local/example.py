"""Put the example platform into a throwaway cluster, as the deployer of its baselines would.

Called by the demo before its scenes, and by tests. Never for a cluster that was not made for it.
"""

import asyncio
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from services.kube.api.cluster import Cluster
from services.kube.api.errors import NotFound
from services.kube.api.session import APPLY
from services.kube.declaration.manifests import load_folder
from services.kube.objects import Object, group_of, key_of, version_of
from services.runtime.clock import Clock
from services.runtime.errors import Permanent

DEPLOYER = "deployer"
FIRST = ("Namespace", "CustomResourceDefinition", "PriorityClass", "ClusterRole")
SERVED_WITHIN = 20.0  # seconds until the kinds of a new CustomResourceDefinition are served
TRY_AGAIN = 0.1


def examples_folder() -> Path:
    """Where the examples are: in the wheel beside this package, in a checkout under `deploy/`."""
    packaged = Path(str(files("services.local"))) / "examples"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "deploy" / "examples"


async def install(cluster: Cluster, folder: Path, clock: Clock) -> int:
    """Apply every manifest below `folder` with strict validation; how many there are.

    Raises ApiError with the server's words for a manifest that it refuses, UserFileError for one that is no manifest,
    Permanent where a kind is not served in time.
    """
    objects = [manifest.obj for manifest in load_folder(folder)]
    for kind in FIRST:
        await _apply_all(cluster, [obj for obj in objects if obj["kind"] == kind])
    await _served(cluster, objects, clock)
    await _apply_all(cluster, [obj for obj in objects if obj["kind"] not in FIRST])
    return len(objects)


async def _apply_all(cluster: Cluster, objects: Iterable[Object]) -> None:
    await asyncio.gather(*(_apply(cluster, obj) for obj in objects))


async def _apply(cluster: Cluster, obj: Object) -> None:
    key = key_of(obj)
    path = cluster.resource(key.group, key.kind, version_of(obj)).path(key.namespace, key.name)
    params = {"fieldManager": DEPLOYER, "force": "true", "fieldValidation": "Strict"}
    await cluster.session.request("PATCH", path, params=params, body=obj, content_type=APPLY)


async def _served(cluster: Cluster, objects: Iterable[Object], clock: Clock) -> None:
    """Wait until the server serves every kind: those of a new definition take a moment."""
    until = clock.monotonic() + SERVED_WITHIN
    wanted = {(group_of(obj), str(obj["kind"]), version_of(obj)) for obj in objects}
    while missing := [kind for kind in wanted if not _is_served(cluster, *kind)]:
        if clock.monotonic() > until:
            raise Permanent(f"the cluster does not serve {missing[0][1]} of {missing[0][0]}/{missing[0][2]}")
        await clock.sleep(TRY_AGAIN)
        await cluster.rediscover()


def _is_served(cluster: Cluster, group: str, kind: str, version: str) -> bool:
    try:
        return cluster.resource(group, kind, version).version == version
    except NotFound:
        return False
