"""What runs in a cluster now, as manifests: the first baseline of who has none.

Lists every served kind that can be created and changed, one at a time and in pages, and cleans each object
(`kube/captures/cleaning.py`). What is left out, and why, is data (`data/captured.yaml`) or counted by reason: nothing
is left out in silence. Needs read rights; where dry-run creates are allowed too, the files carry no defaults.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import ApiError, Forbidden, Gone, Unavailable
from services.kube.api.pages import pages, typed
from services.kube.captures.cleaning import bare, cleaned, restored, whole
from services.kube.masking import is_secret
from services.kube.objects import Object, ObjectKey, key_of, metadata_of
from services.kube.verdict.judge import probe
from services.kube.writers.trust import shipped

AT_ONCE = 16
ATTEMPTS = 3
VERBS = {"list", "create", "patch"}
REQUIRED = "Required value"


class Selection(NamedTuple):
    """What to capture; names or globs, nothing means everything. Kinds are compared without regard to case."""

    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    secrets: bool = False

    def wants(self, resource: Resource) -> bool:
        """False where no object of the kind can be wanted."""
        if not resource.namespaced and self.namespaces and resource.kind != "Namespace":
            return False
        names = (resource.kind.casefold(), resource.plural)
        return not self.kinds or any(fnmatchcase(name, glob.casefold()) for glob in self.kinds for name in names)

    def holds(self, key: ObjectKey) -> bool:
        """False where the object's namespace is not wanted; a Namespace counts as one of its own."""
        place = key.name if key.kind == "Namespace" and not key.group else key.namespace
        return not self.namespaces or any(fnmatchcase(place, glob) for glob in self.namespaces)


@dataclass
class Captured:
    """The manifests by object, how many were left out by reason, and the kinds that the token may not list."""

    objects: dict[ObjectKey, Object] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    forbidden: list[str] = field(default_factory=list)


async def capture(cluster: Cluster, selection: Selection, progress: Callable[[int], None] = lambda _: None) -> Captured:
    """Everything that the selection wants. Raises Unavailable where the API server is away."""
    result, limit = Captured(), asyncio.Semaphore(AT_ONCE)

    async def take(obj: Object) -> None:
        async with limit:
            manifest = await manifest_of(cluster, obj)
        if manifest is None:
            result.left_out["written by controllers only"] += 1
        else:
            result.objects[key_of(obj)] = manifest
            progress(len(result.objects))

    for resource in wanted(cluster, selection):
        chosen = []
        try:
            async for obj in _listed(cluster, resource, selection):
                reason = why_not(obj, selection) if selection.holds(key_of(obj)) else ""
                if reason:
                    result.left_out[reason] += 1
                elif reason is None:
                    chosen.append(obj)
        except Forbidden:
            result.forbidden.append(resource.kind)
        await asyncio.gather(*map(take, chosen))
    result.objects = dict(sorted(result.objects.items()))
    return result


def wanted(cluster: Cluster, selection: Selection) -> list[Resource]:
    """The kinds to list: each in its preferred version."""
    found = [resource for resource in cluster.catalogue.preferred.values() if resource.verbs >= VERBS]
    kept = [resource for resource in found if selection.wants(resource) and not any(map(_of_kind(resource), _bare()))]
    return sorted(kept)


def why_not(obj: Object, selection: Selection) -> str | None:
    """Why an object is left out; None where it is not."""
    metadata = metadata_of(obj)
    if metadata.get("ownerReferences"):
        return "owned by another object"
    if metadata.get("deletionTimestamp"):
        return "being deleted"
    rule = next((rule for rule in shipped("captured.yaml") if _fits(rule, obj)), None)
    if rule:
        return str(rule["reason"])
    return "Secrets, without --with-secrets" if is_secret(obj) and not selection.secrets else None


async def manifest_of(cluster: Cluster, live: Object) -> Object | None:
    """One object as it would be declared. Without the right to dry-run, owned defaults stay in it."""
    full = cleaned(live)
    if full is None:
        return None
    less = bare(full, live, await cluster.schema(live))
    try:
        return _in_order(restored(full, less, await cluster.create(probe(less), dry_run=True)))
    except Unavailable:
        raise
    except ApiError as error:
        return _in_order(whole(live) if REQUIRED in error.message else full)


async def _listed(cluster: Cluster, resource: Resource, selection: Selection) -> AsyncIterator[Object]:
    """Every object of a kind that may be wanted. Namespaces that are named are asked for one by one, since a token may
    have rights in some only.
    """
    named = () if any(set(name) & set("*?[") for name in selection.namespaces) else selection.namespaces
    if named and resource.kind == "Namespace" and not resource.group:
        for name in named:
            found = await cluster.get(ObjectKey("", "Namespace", "", name))
            if found:
                yield found
        return
    for place in named if resource.namespaced and named else ("",):
        for obj in await _whole_list(cluster, resource, place):
            yield obj


async def _whole_list(cluster: Cluster, resource: Resource, namespace: str) -> list[Object]:
    """All at once; again from the start where the list grew too old on the way."""
    for _ in range(ATTEMPTS - 1):
        with suppress(Gone):
            return [typed(obj, resource) async for page in pages(cluster.session, resource, namespace) for obj in page]
    return [typed(obj, resource) async for page in pages(cluster.session, resource, namespace) for obj in page]


def _in_order(manifest: Object) -> Object:
    """The part that identifies it first."""
    first = ("apiVersion", "kind", "metadata", "type", "spec")
    return {name: manifest[name] for name in (*first, *manifest) if name in manifest}


def _bare() -> Iterable[dict[str, Any]]:
    """The rules that leave out a whole kind."""
    return (rule for rule in shipped("captured.yaml") if rule.keys() == {"kind", "reason"})


def _of_kind(resource: Resource) -> Callable[[dict[str, Any]], bool]:
    name = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return lambda rule: fnmatchcase(name, rule["kind"])


def _fits(rule: dict[str, Any], obj: Object) -> bool:
    key, metadata = key_of(obj), metadata_of(obj)
    kind = f"{key.kind}.{key.group}" if key.group else key.kind
    parts = (("kind", kind), ("namespace", key.namespace), ("name", key.name), ("type", str(obj.get("type"))))
    if not all(name not in rule or fnmatchcase(value, rule[name]) for name, value in parts):
        return False
    for mark in ("label", "annotation"):
        if mark in rule:
            found = (metadata.get(f"{mark}s") or {}).get(rule[mark])
            if found is None or rule.get("value", found) != found:
                return False
    return True
