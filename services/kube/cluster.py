"""One cluster as the services see it: read an object, dry-run, apply, patch, delete, and the schema of a kind.

Every write names a field manager, `setpoint` unless told otherwise; what is applied or created is validated strictly.
What an answer says of a Secret is cut down to field names, since it may quote values.
"""

import re
from pathlib import Path
from typing import Any

from services.kube.discovery import Catalogue, Resource, discover
from services.kube.errors import ApiError, NotFound
from services.kube.objects import Object, ObjectKey, group_of, key_of, strip, version_of
from services.kube.schema import UNKNOWN, SchemaNode, schema_for
from services.kube.session import APPLY, JSON, JSON_PATCH, Session, connect

FIELD_MANAGER = "setpoint"
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Cluster:
    """Make it with `open_cluster`; `name` is what events carry."""

    def __init__(self, name: str, session: Session, catalogue: Catalogue) -> None:
        self.name = name
        self.session = session
        self.catalogue = catalogue
        self.schemas: dict[tuple[str, str, str], SchemaNode] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    async def rediscover(self) -> bool:
        """Ask again what is served; True where that changed. Schemas are then read anew as they are needed."""
        fresh = await discover(self.session)
        self.schemas = {kind: node for kind, node in self.schemas.items() if node is not UNKNOWN}
        if fresh.by_version == self.catalogue.by_version:
            return False
        self.catalogue = fresh
        self.schemas = {}
        return True

    def resource(self, group: str, kind: str, version: str | None = None) -> Resource:
        """How a kind is served, in any version where none is wanted. Raises NotFound where it is not."""
        found = self.catalogue.find(group, kind, version)
        if not found or (version and found.version != version):
            what = f"{kind}{'.' + group if group else ''}" + (f" in version {version}" if found else "")
            raise NotFound(f"{what} is not served by this cluster", 404, "not-served")
        return found

    def bind(self, manifest: Object) -> Object:
        """The manifest in the scope that its kind has: `default` where a namespace is missing, none where none may be.

        Raises NotFound where the kind is not served.
        """
        namespaced = self.resource(group_of(manifest), str(manifest.get("kind")), version_of(manifest)).namespaced
        metadata = manifest["metadata"]
        if namespaced == bool(metadata.get("namespace")):
            return manifest
        if namespaced:
            return {**manifest, "metadata": {**metadata, "namespace": "default"}}
        return {**manifest, "metadata": {name: value for name, value in metadata.items() if name != "namespace"}}

    async def get(self, key: ObjectKey, version: str | None = None) -> Object | None:
        """The live object, in the wanted version if that is served; None where there is none, or no such kind."""
        resource = self.catalogue.find(key.group, key.kind, version)
        if resource is None:
            return None
        try:
            found: Object = await self.session.request("GET", resource.path(key.namespace, key.name))
        except NotFound:
            return None
        return found

    async def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply of a whole manifest, taking over fields that others hold; the object as it then is."""
        params = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return await self._write("PATCH", manifest, strip(manifest), APPLY, params, dry_run)

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Plain create; Conflict where it exists."""
        resource = self.resource(group_of(manifest), str(manifest["kind"]), version_of(manifest))
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **_dry(dry_run)}
        return await self._send(
            "POST", resource.path(key_of(manifest).namespace), key_of(manifest), manifest, JSON, params
        )

    async def replace(self, obj: Object, *, manager: str = FIELD_MANAGER, dry_run: bool = False) -> Object:
        """Plain update; Conflict where its resourceVersion is not the newest."""
        return await self._write("PUT", obj, obj, JSON, {"fieldManager": manager}, dry_run)

    async def json_patch(
        self, key: ObjectKey, version: str, operations: list[dict[str, Any]], *, dry_run: bool = False
    ) -> Object:
        """RFC 6902, on the object as it is in `version`; a failed `test` operation is Invalid."""
        path = self.resource(key.group, key.kind, version).path(key.namespace, key.name)
        return await self._send(
            "PATCH", path, key, operations, JSON_PATCH, {"fieldManager": FIELD_MANAGER, **_dry(dry_run)}
        )

    async def delete(self, key: ObjectKey, *, uid: str) -> None:
        """Delete exactly the object with this uid; Conflict where another one has its name by now."""
        path = self.resource(key.group, key.kind).path(key.namespace, key.name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        await self._send("DELETE", path, key, body, JSON, {"propagationPolicy": "Background"})

    async def schema(self, manifest: Object) -> SchemaNode:
        """The schema of a manifest's kind, from the server's own OpenAPI document, read once.

        UNKNOWN where the server has none, as for some seconds after a kind was defined; asked for again by
        `rediscover`.
        """
        wanted = (group_of(manifest), version_of(manifest), str(manifest.get("kind")))
        if wanted not in self.schemas:
            group, version, kind = wanted
            path = f"/openapi/v3/apis/{group}/{version}" if group else f"/openapi/v3/api/{version}"
            try:
                document = await self.session.request("GET", path, timeout=60)
            except NotFound:
                document = {}
            self.schemas[wanted] = schema_for(document, group, version, kind)
        return self.schemas[wanted]

    async def allowed(self, verb: str, resource: Resource, namespace: str = "") -> bool:
        """Ask the server whether this token may do `verb` (SelfSubjectAccessReview)."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural, "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self.session.request("POST", path, body=body)
        return bool(answer["status"].get("allowed"))

    async def _write(
        self, method: str, obj: Object, body: Object, content: str, params: dict[str, str], dry_run: bool
    ) -> Object:
        key = key_of(obj)
        path = self.resource(key.group, key.kind, version_of(obj)).path(key.namespace, key.name)
        return await self._send(method, path, key, body, content, {**params, **_dry(dry_run)})

    async def _send(
        self, method: str, path: str, key: ObjectKey, body: Any, content: str, params: dict[str, str]
    ) -> Object:
        try:
            answer: Object = await self.session.request(method, path, params=params, body=body, content_type=content)
        except ApiError as error:
            if key.kind == "Secret" and not key.group:
                error.message = QUOTED.sub('"…"', error.message.split(": Invalid value")[0])
                error.args = (error.message,)
            raise
        return answer


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


async def open_cluster(kubeconfig: Path | None, context: str, name: str | None = None) -> Cluster:
    """Connect to the named cluster and read what it serves. Raises Unavailable where it does not answer."""
    session = await connect(kubeconfig, context)
    try:
        return Cluster(name or context, session, await discover(session))
    except BaseException:
        await session.close()
        raise
