"""What a write would change, from the live object and the answer of a server-side dry-run.

Called by every operation's `plan`. The words are those of drift: `live` is now, `desired` is afterwards, "removed" is
what would be put there and "added" what would be taken away. Left out is what the server keeps for itself, and
Setpoint's own marks: they differ from plan to plan of the same doing. Values of Secrets come out as keyed hashes.
"""

from collections.abc import Iterator
from typing import Any

from schemas.events import FieldChange
from services.kube.masking import is_secret, mask_diff
from services.kube.objects import SERVER_METADATA, Object, strip
from services.kube.pointer import FieldDiff, Segments, to_pointer

OWN = "setpoint.dev/"
MISSING: Any = object()


def changes(live: Object | None, after: Object, mask_key: bytes) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of paths. Without `live` one change, the whole object that would be made.

    Lists of one length are compared item by item, others as a whole.
    """
    found = [FieldDiff("", "removed", strip(after), None)] if live is None else list(_walk(live, after, ()))
    if is_secret(after):
        found = [mask_diff(diff, mask_key) for diff in found]
    return tuple(FieldChange(path=diff.path, kind=_kind(diff), desired=diff.desired, live=diff.live) for diff in found)


def _walk(live: Any, after: Any, path: Segments) -> Iterator[FieldDiff]:
    if live is not MISSING and after is not MISSING and live == after:
        return
    pair = _as_maps(live, after)
    if pair:
        for name in sorted({*pair[0], *pair[1]}):
            if not _left_out(path, name):
                yield from _walk(pair[0].get(name, MISSING), pair[1].get(name, MISSING), (*path, name))
    elif isinstance(live, list) and isinstance(after, list) and len(live) == len(after):
        for index, (before, behind) in enumerate(zip(live, after, strict=True)):
            yield from _walk(before, behind, (*path, str(index)))
    else:
        kind = "removed" if live is MISSING else "added" if after is MISSING else "changed"
        values = (None if value is MISSING else value for value in (after, live))
        yield FieldDiff(to_pointer(path), kind, *values)


def _as_maps(live: Any, after: Any) -> tuple[Object, Object] | None:
    """Both as maps, so that a map that comes or goes is told by its fields; None where they are no two maps."""
    if live is MISSING and isinstance(after, dict) and after:
        return {}, after
    if after is MISSING and isinstance(live, dict) and live:
        return live, {}
    return (live, after) if isinstance(live, dict) and isinstance(after, dict) else None


def _left_out(path: Segments, name: str) -> bool:
    if not path:
        return name == "status"
    if path == ("metadata",):
        return name in SERVER_METADATA
    return path[-2:] == ("metadata", "annotations") and name.startswith(OWN)


def _kind(diff: FieldDiff) -> Any:
    return diff.kind
