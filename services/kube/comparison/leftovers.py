"""Whether somebody still holds, by server-side apply, what the manifest has stopped to declare.

An apply's entry in managedFields is exactly what was applied. Where it is Setpoint's own or that of who applies the
baseline, and says more than the manifest does, the declaration has moved on: the field stands there only because it was
declared once, and Setpoint's own hold would even keep it from going when its deployer drops it.
Called on every look at an object, so it compares FieldsV1 with the manifest as they are, without building paths.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from services.kube.objects import LAST_APPLIED, Object, managed_fields
from services.kube.writers.ownership import parsed_key
from services.kube.writers.trust import OURS

APART = ("f:metadata", "f:status")
KEY_DEFAULTS = {"protocol": "TCP"}
MARKS = ("f:labels", "f:annotations")  # deployers mark what they deploy, so that theirs say nothing


def behind(desired: Object, live: Object, applier: str | None) -> list[Object]:
    """The entries of Setpoint and of the baseline's manager that hold more than is declared; mostly none."""
    return [entry for entry in _applied(live, applier) if _exceeds_manifest(entry, desired)]


def _applied(live: Object, applier: str | None) -> Iterator[Object]:
    """Of another version the paths may mean something else."""
    for entry in managed_fields(live):
        if entry.get("operation") != "Apply" or entry.get("subresource"):
            continue
        manager = entry.get("manager")
        if (manager in OURS or manager == applier) and entry.get("apiVersion") == live.get("apiVersion"):
            yield entry


def _exceeds_manifest(entry: Object, desired: Object) -> bool:
    fields = entry.get("fieldsV1")
    if not isinstance(fields, Mapping):
        return False
    if _map_exceeds({step: below for step, below in fields.items() if step not in APART}, desired):
        return True
    metadata = fields.get("f:metadata")
    if entry.get("manager") not in OURS or not isinstance(metadata, Mapping):
        return False
    marks = {step: _less_notes(below) for step, below in metadata.items() if step in MARKS}
    return _map_exceeds(marks, desired.get("metadata") or {})


def _less_notes(fields: Any) -> Any:
    note = f"f:{LAST_APPLIED}"
    return {step: below for step, below in fields.items() if step != note} if isinstance(fields, Mapping) else fields


def _map_exceeds(fields: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """True where a step of a set, or something below it, leads to nothing in the declared map."""
    for step, below in fields.items():
        if step == ".":
            continue
        name = step[2:]
        if name not in desired or desired[name] == []:
            return True  # no look-up finds out more about an empty list: whoever asks then looks closely
        if below and _any_exceeds(below, desired[name]):
            return True
    return False


def _any_exceeds(fields: Any, desired: Any) -> bool:
    if not isinstance(fields, Mapping):
        return False
    if isinstance(desired, dict):
        return _map_exceeds(fields, desired)
    return isinstance(desired, list) and _list_exceeds(fields, desired)


def _list_exceeds(fields: Mapping[str, Any], items: list[Any]) -> bool:
    by_keys: dict[tuple[str, ...], dict[tuple[str, ...], Any]] = {}
    for step, below in fields.items():
        kind = step[:2]
        wanted = parsed_key(step[2:]) if kind in ("k:", "v:") else None
        if kind == "v:" and wanted not in items:
            return True
        if kind != "k:" or not isinstance(wanted, dict):
            continue
        names = tuple(wanted)
        if names not in by_keys:
            by_keys[names] = {_values(item, names): item for item in items if isinstance(item, dict)}
        item = by_keys[names].get(_values(wanted, names))
        if item is None or (below and _any_exceeds(below, item)):
            return True
    return False


def _values(item: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of an item. Of those that a manifest may leave out only a port's protocol is in built-in kinds."""
    return tuple([str(item.get(name, KEY_DEFAULTS.get(name))) for name in names])
