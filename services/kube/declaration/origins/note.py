"""The manifest that `kubectl apply` noted in an object: such a declaration lives and dies with its object.

Whoever judges one reads it from the live object (`as_of`), so that a new `kubectl apply` is a new declaration and no
drift; and an object that was deleted is no longer declared.
"""

import orjson

from services.kube.declaration.baselines import Declared, OriginKind
from services.kube.declaration.manifests import as_declared
from services.kube.objects import LAST_APPLIED, Object, metadata_of

NO_MANIFEST = (ValueError, orjson.JSONEncodeError)  # the second: nested deeper than anything that is no attack


def as_of(declared: Declared, live: Object | None) -> Declared:
    """The declaration as the live object carries it now; unchanged for any other origin, or without the annotation."""
    if declared.origin.kind is not OriginKind.LAST_APPLIED or live is None:
        return declared
    try:
        manifest = applied(live)
        return declared.saying(manifest) if manifest else declared
    except NO_MANIFEST:
        return declared


def applied(live: Object) -> Object | None:
    """The manifest in the annotation; None where there is none, or one that was copied from another object.

    Raises ValueError where it is no manifest.
    """
    note = note_of(live)
    if note is None:
        return None
    metadata = metadata_of(live)
    manifest = _as_manifest(orjson.loads(note), str(metadata.get("namespace") or ""))
    if manifest is None:
        raise ValueError("no manifest")
    said = manifest["metadata"]
    same = (manifest["kind"], said["name"], said.get("namespace") or "")
    return manifest if same == (live.get("kind"), metadata.get("name"), metadata.get("namespace") or "") else None


def note_of(live: Object) -> str | None:
    """The annotation's text."""
    annotations = metadata_of(live).get("annotations")
    note = annotations.get(LAST_APPLIED) if isinstance(annotations, dict) else None
    return note if isinstance(note, str) else None


def _as_manifest(value: object, namespace: str) -> Object | None:
    """An object as a person would declare it, in `namespace` where it names none; None for what is no object.

    Cluster-scoped kinds are given a namespace too: whoever binds the manifest to a cluster takes it away again.
    """
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return None
    if not all(isinstance(part, str) and part for part in (value.get("apiVersion"), value.get("kind"))):
        return None
    if not isinstance(value["metadata"].get("name"), str):
        return None
    bare = as_declared(value)
    if namespace and not bare["metadata"].get("namespace"):
        bare = {**bare, "metadata": {**bare["metadata"], "namespace": namespace}}
    return bare
