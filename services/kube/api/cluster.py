"""One cluster as the services see it: read an object, dry-run, apply, patch, delete, and the schema of a kind.

Every write names a field manager, `setpoint` unless told otherwise; what is applied or created is validated strictly.
What an answer says of a Secret is cut down to field names, since it may quote values, and no masked value is written.
"""

import re
from pathlib import Path
from typing import Any

from services.kube.api.discovery import Catalogue, Resource, discover, published
from services.kube.api.errors import ApiError, NotFound
from services.kube.api.parsing import shallow
from services.kube.api.session import APPLY, JSON, JSON_PATCH, Session, connect
from services.kube.comparison.schema import UNKNOWN, SchemaNode, schema_for
from services.kube.masking import refuse_masked
from services.kube.objects import Object, ObjectKey, group_of, key_of, strip, version_of

FIELD_MANAGER = "setpoint"
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Cluster:
    """Make it with `open_cluster`; `name` is what events carry."""

    def __init__(self, name: str, session: Session, catalogue: Catalogue) -> None:
        self.name = name
        self.session = session
        self.catalogue = catalogue
        self.schemas: dict[tuple[str, str, str], SchemaNode] = {}
        self.published: dict[tuple[str, str], str] = {}  # each group version's schemas, as a hash
        self.changes = 0  # counts what `rediscover` found, so that everybody who uses this cluster sees it

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    async def rediscover(self) -> bool:
        """Ask again what is served; True where kinds or schemas have changed, also a schema within one version.

        Schemas that have changed are read anew as they are needed.
        """
        fresh, hashes = await discover(self.session), await published(self.session)
        stale = {kind for kind in self.schemas if hashes.get(kind[:2]) != self.published.get(kind[:2])}
        self.schemas = {kind: node for kind, node in self.schemas.items() if kind not in stale and node is not UNKNOWN}
        self.published = hashes
        if fresh.by_version == self.catalogue.by_version and not stale:
            return False
        if fresh.by_version != self.catalogue.by_version:
            self.catalogue = fresh
        self.changes += 1
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
            found: Object = shallow(await self.session.request("GET", resource.path(key.namespace, key.name)))
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
        """RFC 6902, on the object as it is in `version`; Conflict where an operation does not fit it, a `test` say."""
        path = self.resource(key.group, key.kind, version).path(key.namespace, key.name)
        return await self._send(
            "PATCH", path, key, operations, JSON_PATCH, {"fieldManager": FIELD_MANAGER, **_dry(dry_run)}
        )

    async def delete(
        self, key: ObjectKey, *, uid: str, version: str | None = None, propagation: str = "Background"
    ) -> None:
        """Delete exactly the object with this uid (and resourceVersion, if given); Conflict where it is another now."""
        path = self.resource(key.group, key.kind).path(key.namespace, key.name)
        conditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        await self._send("DELETE", path, key, body, JSON, {"propagationPolicy": propagation})

    async def schema(self, manifest: Object) -> SchemaNode:
        """The schema of a manifest's kind, from the server's own OpenAPI document, read once.

        UNKNOWN where the server has none, as for some seconds after a kind was defined; asked for again by
        `rediscover`.
        """
        wanted = (group_of(manifest), version_of(manifest), str(manifest.get("kind")))
        if wanted not in self.schemas:
            group, version, kind = wanted
            if not self.published:
                self.published = await published(self.session)
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
        secret = key.kind == "Secret" and not key.group
        if secret:
            refuse_masked(body)
        try:
            answer = await self.session.request(method, path, params=params, body=body, content_type=content)
        except ApiError as error:
            if secret:
                error.message = QUOTED.sub('"…"', error.message.split(": Invalid value")[0])
                error.args = (error.message,)
            raise
        found: Object = shallow(answer)
        return found


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
