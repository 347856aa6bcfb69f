"""A small API server in memory: objects, field ownership as managedFields has it, plain updates and server-side apply.

Only what the properties need, and written from Kubernetes' documentation of server-side apply rather than from the
engine, so that an error of the engine does not repeat itself here. No defaults, no validation, no controllers.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from services.kube.api.errors import Invalid
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import Object, ObjectKey
from services.kube.pointer import parse_pointer
from tests.properties.edits import Keys, child

Path = tuple[str, ...]  # FieldsV1 steps
UNOWNED = {"apiVersion", "kind"}
UNOWNED_METADATA = {"name", "namespace", "uid", "resourceVersion", "managedFields", "creationTimestamp"}


def leaves(value: Any, node: SchemaNode, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What can be owned: leaves with their values, items of keyed lists with None."""
    if isinstance(value, dict) and value and not node.atomic_map:
        for name, below in value.items():
            if (not path and name in UNOWNED) or (path == ("f:metadata",) and name in UNOWNED_METADATA):
                continue
            yield from leaves(below, child(node, name, not path), (*path, f"f:{name}"))
    elif isinstance(value, list) and node.list_type == "map":
        for item in value:
            here = (*path, "k:" + json.dumps({key: item[key] for key in node.keys if key in item}))
            yield here, None
            yield from leaves(item, node.items or UNKNOWN, here)
    elif isinstance(value, list) and node.list_type == "set":
        yield from (((*path, "v:" + json.dumps(member)), member) for member in value)
    elif path:
        yield path, value


def fields_v1(paths: set[Path]) -> Object:
    """Owned paths as managedFields writes them."""
    tree: Object = {}
    for path in sorted(paths):
        here = tree
        for step in path:
            here = here.setdefault(step, {})
        if path[-1].startswith("k:"):
            here["."] = {}
    return tree


def paths_of(fields: Object, path: Path = ()) -> Iterator[Path]:
    """The way back."""
    if path and (not fields or "." in fields):
        yield path
    for step, below in fields.items():
        if step != ".":
            yield from paths_of(below, (*path, step))


class Model:
    """One object. Also stands in for the `Cluster` that judges and corrects."""

    def __init__(self, node: SchemaNode) -> None:
        self.node = node
        self.obj: Object = {}
        self.owned: dict[tuple[str, str], set[Path]] = {}
        self.writes = 0
        self.catalogue = self

    def update(self, manager: str, fresh: Object) -> None:
        """A plain PUT: the writer owns what it changed, and nobody owns what is gone."""
        before, after = dict(leaves(self.obj, self.node)), dict(leaves(fresh, self.node))
        changed = {path for path, value in after.items() if path not in before or before[path] != value}
        for owner, paths in self.owned.items():
            self.owned[owner] = {path for path in paths if path in after and path not in changed}
        self.owned.setdefault((manager, "Update"), set()).update(changed)
        self.obj = copy.deepcopy(fresh)

    def applied(self, manager: str, config: Object) -> None:
        """A forced server-side apply."""
        mine = dict(leaves(config, self.node))
        before = self.owned.get((manager, "Apply"), set())
        others = set().union(*(paths for owner, paths in self.owned.items() if owner != (manager, "Apply")), set())
        gone = {path for path in before if path not in mine and path not in others}
        base = self._without(copy.deepcopy(self.obj), self.node, gone, ())
        now = dict(leaves(base, self.node))
        merged = merge(base, copy.deepcopy(config), self.node, True)
        taken = {path for path, value in mine.items() if path in now and now[path] != value}
        for owner, paths in self.owned.items():
            self.owned[owner] = paths - taken - gone
        self.owned[manager, "Apply"] = set(mine)
        self.obj = merged

    def _without(self, value: Any, node: SchemaNode, gone: set[Path], path: Path) -> Any:
        if isinstance(value, dict) and not node.atomic_map:
            kept = {}
            for name, below in value.items():
                here = (*path, f"f:{name}")
                if here not in gone:
                    kept[name] = self._without(below, child(node, name, not path), gone, here)
            return kept
        if isinstance(value, list) and node.list_type == "map":
            steps = [(*path, "k:" + json.dumps({key: one[key] for key in node.keys if key in one})) for one in value]
            pairs = zip(value, steps, strict=True)
            return [self._without(one, node.items or UNKNOWN, gone, step) for one, step in pairs if step not in gone]
        if isinstance(value, list) and node.list_type == "set":
            return [one for one in value if (*path, "v:" + json.dumps(one)) not in gone]
        return value

    @property
    def live(self) -> Object:
        """The object as a GET would show it."""
        entries = [
            {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
             "time": f"2026-01-01T00:00:{second:02}Z", "fieldsV1": fields_v1(paths)}
            for second, ((manager, operation), paths) in enumerate(self.owned.items()) if paths
        ]  # fmt: skip
        metadata = {**self.obj.get("metadata", {}), "managedFields": entries, "uid": "u", "resourceVersion": "1"}
        return copy.deepcopy({**self.obj, "metadata": metadata})

    # What the judge and the corrections ask of a cluster.

    def serves(self, *_: str) -> bool:
        return True

    def find(self, *_: Any) -> None:
        """Kinds besides the object's own: autoscalers and such are not there."""

    async def schema(self, _: Object) -> SchemaNode:
        return self.node

    async def get(self, key: ObjectKey, version: str | None = None) -> Object | None:
        return self.live if key.kind != "Namespace" else None

    async def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        if not dry_run:
            self.writes += 1
            self.applied("setpoint", manifest)
            return self.live
        trial = copy.deepcopy(self)
        trial.applied("setpoint", manifest)
        return trial.live

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        assert dry_run
        return copy.deepcopy(manifest)

    async def json_patch(self, key: ObjectKey, version: str, operations: list[Object], **_: Any) -> Object:
        fresh = copy.deepcopy(self.obj)
        if operations[-1]["path"] == "/metadata/managedFields":
            entries = operations[-1]["value"]
            self.owned = {(one["manager"], one["operation"]): set(paths_of(one["fieldsV1"])) for one in entries}
            return self.live
        for operation in operations:
            *parents, last = parse_pointer(operation["path"])
            here: Any = fresh
            for part in parents:
                here = here[int(part) if isinstance(here, list) else part]
            at: Any = int(last) if isinstance(here, list) else last
            if operation["op"] == "test":
                if here[at] != operation["value"]:
                    raise Invalid(f"test failed at {operation['path']}", 422)
            elif operation["op"] == "remove":
                del here[at]
            else:
                raise AssertionError(operation)
        self.writes += 1
        self.update("setpoint", fresh)
        return self.live


def merge(base: Any, config: Any, node: SchemaNode, at_top: bool = False) -> Any:
    """Server-side apply's merge: maps by name, keyed lists by key, sets as sets, the rest whole."""
    if isinstance(base, dict) and isinstance(config, dict) and not node.atomic_map:
        return {
            **base,
            **{name: merge(base.get(name), value, child(node, name, at_top)) for name, value in config.items()},
        }
    if isinstance(base, list) and isinstance(config, list) and node.list_type == "map":
        found = {key_of(item, node): item for item in base}
        wanted = {
            key_of(item, node): merge(found.get(key_of(item, node)), item, node.items or UNKNOWN) for item in config
        }
        return [wanted.pop(key_of(item, node), item) for item in base] + list(wanted.values())
    if isinstance(base, list) and isinstance(config, list) and node.list_type == "set":
        return [*base, *(member for member in config if member not in base)]
    return config


def key_of(item: Object, node: SchemaNode) -> Keys:
    return Keys(tuple((key, item.get(key)) for key in node.keys))
