"""What actions do to objects of a cluster, named by targets: get, list, patch, create, delete, evict, read a log.

Every write names the field manager `setpoint`, and can be a server-side dry-run. Names reach a path only after they
were checked: a target with a slash or an empty part is refused here, wherever it came from.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.target import Target
from services.kube.api.cluster import FIELD_MANAGER, Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import Invalid, NotFound
from services.kube.api.parsing import shallow
from services.kube.api.session import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from services.kube.masking import refuse_masked
from services.kube.objects import Object, key_of

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
CONTENT = {"merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH, "json": JSON_PATCH}
PAGE = 500
LOG_BYTES = 1024 * 1024


class Operate:
    """Over one cluster. Every method raises `services.kube.api.errors.ApiError`s."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def name(self) -> str:
        """The cluster's name, as targets carry it."""
        return self.cluster.name

    def served(self, group: str, kind: str) -> bool:
        """Whether the cluster knows the kind."""
        return self.cluster.catalogue.find(group, kind) is not None

    async def get(self, target: Target) -> Object | None:
        """The live object, None where there is none; Conflict is never raised. Its uid is not compared."""
        try:
            found: Object = shallow(await self.cluster.session.request("GET", self._path(target)))
        except NotFound as error:
            if error.kind_is_gone:
                raise
            return None
        return found

    async def list(
        self, group: str, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", most: int = 10_000
    ) -> list[Object]:
        """All objects of a kind, of all namespaces without `namespace`, in pages, at most `most`."""
        resource = self.cluster.resource(group, kind)
        params = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
        params |= {"fieldSelector": fields} if fields else {}
        found: list[Object] = []
        while len(found) < most:
            page = await self.cluster.session.request("GET", resource.path(_checked(namespace)), params=params)
            for item in page.get("items") or []:
                found.append({"apiVersion": resource.api_version, "kind": resource.kind, **item})
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                break
            params["continue"] = more
        return found[:most]

    async def patch(
        self, target: Target, body: Any, *, form: str = "merge", subresource: str = "", dry_run: bool = False
    ) -> Object:
        """`form`: merge, strategic or json. A `metadata.uid` in a merge body makes it Conflict on another object."""
        if target.kind == "Secret" and not target.group:
            refuse_masked(body)
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **_dry(dry_run)}
        path = self._path(target, subresource)
        found: Object = shallow(
            await self.cluster.session.request("PATCH", path, params=params, body=body, content_type=CONTENT[form])
        )
        return found

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Plain create; Conflict where it exists."""
        return await self.cluster.create(manifest, dry_run=dry_run)

    async def apply(self, manifest: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False) -> Object:
        """Server-side apply without force: Conflict where somebody else holds a field."""
        key = key_of(manifest)
        path = self._path(
            Target(cluster=self.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)
        )
        params = {"fieldManager": manager, "fieldValidation": "Strict", **_dry(dry_run)}
        found: Object = shallow(
            await self.cluster.session.request("PATCH", path, params=params, body=manifest, content_type=APPLY)
        )
        return found

    async def delete(
        self, target: Target, *, uid: str, grace: int | None = None, propagation: str = "Background",
        dry_run: bool = False,
    ) -> None:  # fmt: skip
        """Delete exactly the object with this uid; Conflict where it is another now. NotFound is no error."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        body |= {"gracePeriodSeconds": grace} if grace is not None else {}
        params = {"propagationPolicy": propagation, **_dry(dry_run)}
        try:
            await self.cluster.session.request("DELETE", self._path(target), params=params, body=body)
        except NotFound:
            return

    async def evict(self, target: Target, *, uid: str, grace: int | None = None, dry_run: bool = False) -> None:
        """Ask to evict a pod; TooManyRequests where a PodDisruptionBudget or a webhook says not now."""
        options: dict[str, Any] = {"preconditions": {"uid": uid}}
        options |= {"gracePeriodSeconds": grace} if grace is not None else {}
        body = {
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": target.name, "namespace": target.namespace}, "deleteOptions": options,
        }  # fmt: skip
        if dry_run:
            options["dryRun"] = ["All"]
        await self.cluster.session.request("POST", self._path(target, "eviction"), body=body, params=_dry(dry_run))

    async def log(self, pod: Target, container: str, *, lines: int, previous: bool = False) -> str:
        """The end of a container's log, at most a mebibyte of it."""
        params = {"container": container, "tailLines": str(lines), "timestamps": "true", "limitBytes": str(LOG_BYTES)}
        params |= {"previous": "true"} if previous else {}
        return await self.cluster.session.text(self._path(pod, "log"), params, most=LOG_BYTES)

    def resource(self, target: Target) -> Resource:
        """How its kind is served. Raises NotFound where it is not."""
        return self.cluster.resource(target.group, target.kind)

    def _path(self, target: Target, subresource: str = "") -> str:
        resource = self.resource(target)
        if resource.namespaced != bool(target.namespace):
            raise Invalid(f"a {target.kind} has {'a' if resource.namespaced else 'no'} namespace", 0, "invalid")
        path = resource.path(_checked(target.namespace), _checked(target.name, needed=True))
        return f"{path}/{subresource}" if subresource else path


def _checked(name: str, needed: bool = False) -> str:
    if (needed or name) and (not NAME.fullmatch(name) or ".." in name):
        raise Invalid(f"names no object: {name[:80]!r}", 0, "invalid")
    return name


def _dry(dry_run: bool) -> Mapping[str, str]:
    return {"dryRun": "All"} if dry_run else {}
