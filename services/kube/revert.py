"""The two writes of the revert action: back to the declared state, and forward again when that did not help.

Dangerous: a masked value must never come here; both work on plain objects read from the server just before.
"""

from typing import Any

from services.kube.baselines import Declared
from services.kube.cluster import Cluster
from services.kube.judge import Finding, appliable
from services.kube.objects import Object, key_of, metadata_of, strip, version_of
from services.kube.pointer import FieldDiff, parse_pointer

UNDO_MANAGER = "setpoint-undo"  # not trusted: what an undo brings back is as much an addition as it was before


async def put_back(cluster: Cluster, declared: Declared, live: Object | None, finding: Finding) -> Object:
    """Remove what was added, under a test of its value, then apply the manifest; the object as stored.

    Raises Invalid for a failed test (somebody wrote meanwhile: look again), and whatever the apply raises.
    """
    extra = [diff for diff in finding.fields if diff.kind == "added"]
    if live is not None and extra:
        stored = await cluster.json_patch(key_of(live), version_of(live), removals(extra))
        if len(extra) == len(finding.fields):
            return stored
    return await cluster.apply(appliable(declared))


def removals(extra: list[FieldDiff]) -> list[dict[str, Any]]:
    """JSON patch that removes fields and list items, the later indexes of a list first.

    Each is tested to hold what was judged. A test of the resourceVersion would fail with every status that a
    controller writes, and a changed workload gets several within the second.
    """
    ordered = sorted(extra, key=lambda diff: [_rank(part) for part in parse_pointer(diff.path)], reverse=True)
    tests = [{"op": "test", "path": diff.path, "value": diff.live} for diff in ordered]
    return [*tests, *({"op": "remove", "path": diff.path} for diff in ordered)]


async def put_forward(cluster: Cluster, before: Object | None, after: Object) -> None:
    """Undo a revert: what stood before stands again. An object that the revert had made is deleted, by its uid.

    Raises Conflict where somebody wrote after the revert: then theirs stands.
    """
    metadata = metadata_of(after)
    if before is None:
        await cluster.delete(key_of(after), uid=str(metadata["uid"]))
        return
    earlier = metadata_of(before)
    kept = {
        name: earlier[name] for name in ("labels", "annotations", "finalizers", "ownerReferences") if name in earlier
    }
    identity = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
    await cluster.replace({**strip(before), "metadata": {**identity, **kept}}, manager=UNDO_MANAGER)


def _rank(part: str) -> tuple[int, int, str]:
    return (1, int(part), "") if part.isdigit() else (0, 0, part)
