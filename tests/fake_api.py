"""A small API server at the session's edge, so that everything above it, `Operate` and `Cluster`, is the real code.

It knows get, list (all of a path, with `metadata.name=` and equality label selectors), merge patch, create and delete,
uid preconditions and dry-run; it validates and defaults nothing.
"""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue, Resource
from services.kube.api.errors import ApiError, Conflict, NotFound
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of

VERBS = frozenset({"get", "list", "patch", "create", "delete"})


class FakeSession:
    """Stands in for `services.kube.api.session.Session`. `asked` keeps every call; `fails` raises for a path."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources
        self.objects: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.fails: dict[str, ApiError] = {}
        self.counter = itertools.count(1)

    def put(self, obj: Object) -> Object:
        """Store an object as the server would."""
        metadata = metadata_of(obj)
        number = next(self.counter)
        stored = copy.deepcopy(obj)
        stored["metadata"] = {
            "uid": f"00000000-0000-0000-0000-{number:012d}",
            **metadata,
            "resourceVersion": str(number),
        }
        self.objects[self._path(obj)] = stored
        return stored

    def _path(self, obj: Object) -> str:
        found = next(one for one in self.resources if (one.api_version, one.kind) == (obj["apiVersion"], obj["kind"]))
        return found.path(str(metadata_of(obj).get("namespace") or ""), metadata_of(obj)["name"])

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None, **_: Any
    ) -> Any:
        """One call."""
        self.asked.append((method, path))
        if path in self.fails:
            raise self.fails[path]
        params = params or {}
        kept = "dryRun" not in params
        if method == "GET" and path not in self.objects and self._is_collection(path):
            return {"items": [copy.deepcopy(obj) for obj in self._listed(path, params)], "metadata": {}}
        if method == "POST":
            target = f"{path}/{body['metadata']['name']}"
            if target in self.objects:
                raise Conflict(f"{target} already exists", 409, "AlreadyExists")
            return copy.deepcopy(self.put(body)) if kept else copy.deepcopy(body)
        live = self.objects.get(path)
        if live is None:
            raise NotFound(f"{path} not found", 404, "NotFound")
        if method == "DELETE":
            _check(live, (body or {}).get("preconditions") or {})
            if kept:
                del self.objects[path]
            return {}
        if method == "PATCH":
            _check(live, {key: (body.get("metadata") or {}).get(key) for key in ("uid", "resourceVersion")})
            merged = _merged(live, body)
            merged["metadata"]["resourceVersion"] = str(next(self.counter))
            if kept:
                self.objects[path] = merged
            return copy.deepcopy(merged)
        return copy.deepcopy(live)

    def _is_collection(self, path: str) -> bool:
        return any(path.endswith(f"/{one.plural}") for one in self.resources)

    def _listed(self, path: str, params: Mapping[str, str]) -> list[Object]:
        resource = next(one for one in self.resources if path.startswith(one.root) and path.endswith(f"/{one.plural}"))
        inside = path.removeprefix(resource.root).removesuffix(resource.plural).removeprefix("/namespaces/").strip("/")
        wanted = params.get("fieldSelector", "").removeprefix("metadata.name=")
        labels = dict(part.split("=", 1) for part in params.get("labelSelector", "").split(",") if part)
        return [
            obj
            for obj in self.objects.values()
            if (obj["apiVersion"], obj["kind"]) == (resource.api_version, resource.kind)
            and inside in ("", metadata_of(obj).get("namespace"))
            and wanted in ("", metadata_of(obj)["name"])
            and labels.items() <= (metadata_of(obj).get("labels") or {}).items()
        ]


def _check(live: Object, wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if value is not None and metadata_of(live)[key] != value:
            raise Conflict(f"the {key} is another", 409, "Conflict")


def _merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = copy.deepcopy(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def served(*kinds: tuple[str, str, str, bool]) -> list[Resource]:
    """(apiVersion, kind, plural, namespaced) each."""
    found = []
    for api_version, kind, plural, namespaced in kinds:
        group, _, version = api_version.rpartition("/")
        found.append(Resource(group, version, kind, plural, namespaced, VERBS))
    return found


def fake_api(resources: list[Resource], name: str = "prod") -> tuple[Operate, FakeSession]:
    """The real `Operate` over a fake server."""
    session = FakeSession(resources)
    cluster = Cluster(name, session, Catalogue(resources))  # type: ignore[arg-type]
    return Operate(cluster), session
