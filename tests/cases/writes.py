"""The ways in which somebody adds a field to a live object: each leaves other traces in managedFields.

One addition is a pointer into the manifest and the value that is to stand there; a last segment `-` appends to a list.
From that follow the bodies of a PUT, a JSON patch, a merge patch, a strategic merge patch and a server-side apply.
"""

import copy
from enum import StrEnum
from itertools import pairwise
from typing import Any

from services.kube.api.session import JSON_PATCH
from services.kube.objects import Object
from services.kube.pointer import parse_pointer, to_pointer
from tests.watching import MERGE, Client

STRATEGIC = "application/strategic-merge-patch+json"
KEYS = {
    "containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",),
    "containers.ports": ("containerPort", "protocol"), "spec.ports": ("port", "protocol"),
    "volumeMounts": ("mountPath",), "imagePullSecrets": ("name",), "items": ("name",), "limits": ("zone", "tier"),
    "finalizers": (), "groups": (),
}  # fmt: skip


class Way(StrEnum):
    """How it is written."""

    PUT = "put"  # as kubectl edit and most clients do
    JSON_PATCH = "json-patch"
    MERGE = "merge-patch"
    STRATEGIC = "strategic-merge"
    APPLY = "server-side-apply"


async def add(client: Client, live: Object, pointer: str, value: Any, way: Way, manager: str) -> Object:
    """Write `value` at `pointer` into the object as it is; the object as stored. 409 is tried again by nobody."""
    path = parse_pointer(pointer)
    if way is Way.JSON_PATCH:
        return await client.patch(live, operations(live, path, value), manager, JSON_PATCH)
    after = with_value(live, path, value)
    if way is Way.PUT:
        return await client.cluster.replace(after, manager=manager)
    if way is Way.MERGE:
        return await client.patch(live, cut(after, path), manager, MERGE)
    body = keyed(after, path)
    if way is Way.STRATEGIC:
        return await client.patch(live, body, manager, STRATEGIC)
    identity = {name: live["metadata"][name] for name in ("name", "namespace") if name in live["metadata"]}
    head = {"apiVersion": live["apiVersion"], "kind": live["kind"]}
    return await client.apply({**head, **body, "metadata": {**body.get("metadata", {}), **identity}}, manager)


def with_value(obj: Object, path: tuple[str, ...], value: Any) -> Object:
    """A copy with the value in its place; maps and lists on the way are made where they are missing."""
    after = copy.deepcopy(obj)
    place: Any = after
    for segment, following in pairwise(path):
        empty: Any = [] if following == "-" else {}
        place = place[int(segment)] if isinstance(place, list) else place.setdefault(segment, empty)
    if isinstance(place, list):
        place.append(value)
    else:
        place[path[-1]] = value
    return after


def operations(obj: Object, path: tuple[str, ...], value: Any) -> list[dict[str, Any]]:
    """One `add`, at the highest place that is missing."""
    place: Any = obj
    for depth, segment in enumerate(path[:-1]):
        if isinstance(place, dict) and segment not in place:
            whole = with_value({}, path[depth:], value)[segment]
            return [{"op": "add", "path": to_pointer(path[: depth + 1]), "value": whole}]
        place = place[int(segment)] if isinstance(place, list) else place[segment]
    return [{"op": "add", "path": to_pointer(path), "value": value}]


def cut(obj: Object, path: tuple[str, ...]) -> Any:
    """A merge patch's body: the way to the value; the first list on it is sent whole."""
    if not path or isinstance(obj, list):
        return obj
    return {path[0]: cut(obj[path[0]], path[1:])}


def keyed(obj: Any, path: tuple[str, ...], name: str = "") -> Any:
    """A body for what merges lists by key: of each list on the way only the item that leads on, with its keys."""
    if not path:
        return obj
    if isinstance(obj, dict):
        return {path[0]: keyed(obj[path[0]], path[1:], f"{name.rpartition('.')[2]}.{path[0]}")}
    keys = KEYS.get(name, KEYS.get(name.rpartition(".")[2]))
    if keys is None:
        return obj  # an atomic list is sent whole
    item = obj[-1] if path[0] == "-" else obj[int(path[0])]
    if path[0] == "-":
        return [item]
    return [{**{key: item[key] for key in keys if key in item}, **keyed(item, path[1:], name)}]
