"""What differs, as the RFC 6902 patch that takes the live object to its declared state: for people and other tools.

Setpoint's own corrections use server-side apply, which leaves the right owner behind; a patch is what anybody can read,
keep, and hand to `kubectl patch --type=json`. Each operation is tested to meet what was compared, so that a patch that
has grown old fails instead of doing half of it.
"""

from typing import Any

from schemas.events import DriftState
from services.kube.correction.patching import removals
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object
from services.kube.pointer import FieldDiff, Segments, parse_ignore, parse_pointer, resolve, to_pointer
from services.kube.verdict.judge import Finding, ignored

Operation = dict[str, Any]
ABSENT = object()


def patch_for(declared: Declared, live: Object | None, finding: Finding) -> list[Operation]:
    """The operations in their order; for a missing object one that adds the whole manifest, for no difference none.

    Never for Secrets: whoever prints it would print their values.
    """
    obj = declared.obj
    if finding.state is DriftState.MISSING or live is None:
        return [{"op": "add", "path": "", "value": obj}]
    patterns = parse_ignore((*ignored(declared, obj), *finding.left))
    taken = removals(live, finding.fields, patterns)
    tests = [step for step in taken if step["op"] == "test"]
    places: list[Operation] = []
    appended: list[Operation] = []
    for diff in finding.fields:
        if diff.kind == "added":
            continue
        path = parse_pointer(diff.path)
        if diff.kind == "removed" and isinstance(resolve(live, path[:-1]), list):
            appended.append({"op": "add", "path": to_pointer((*path[:-1], "-")), "value": diff.desired})
        else:
            tests += _test(live, path)
            places += _put(live, path, diff, places)
    return [*tests, *places, *(step for step in taken if step["op"] != "test"), *appended]


def _test(live: Object, path: Segments) -> list[Operation]:
    found = resolve(live, path, ABSENT)
    return [] if found is ABSENT else [{"op": "test", "path": to_pointer(path), "value": found}]


def _put(live: Object, path: Segments, diff: FieldDiff, before: list[Operation]) -> list[Operation]:
    """Set one field, after the maps on the way to it that are not there."""
    made = {step["path"] for step in before}
    steps: list[Operation] = []
    for length in range(1, len(path)):
        around = to_pointer(path[:length])
        if resolve(live, path[:length]) is None and around not in made:
            steps.append({"op": "add", "path": around, "value": {}})
    there = resolve(live, path, ABSENT) is not ABSENT
    return [*steps, {"op": "replace" if there else "add", "path": to_pointer(path), "value": diff.desired}]
