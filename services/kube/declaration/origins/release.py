"""What one stored Helm release says: its status and its rendered manifests, without Helm and without its hooks.

Helm stores a release as JSON, gzipped since 2.0 (older ones plainly), in base64, in a Secret or ConfigMap of its own
(helm.sh/helm: pkg/storage/driver/util.go). Whoever may write Secrets can write anything there, so sizes are bounded.
"""

import base64
import binascii
import zlib
from typing import Any, NamedTuple

import orjson

from services.kube.declaration.manifests import Manifest, as_declared, check, flatten
from services.runtime.errors import FileProblem
from services.runtime.yamlfile import place, read_text

GZIP = b"\x1f\x8b\x08"
GZIP_FORMAT = 31  # zlib's word for a gzip header
MOST_BYTES = 64 * 2**20  # of a release's JSON: charts with all their files
MOST_MANIFEST = 16 * 2**20  # of characters: a Secret of 1 MiB holds some 10 of YAML


class Unreadable(ValueError):
    """Not a release, and why, without any of its contents."""


class Rendered(NamedTuple):
    """A release's manifests, as far as they could be read, and what is wrong with the others."""

    manifests: tuple[Manifest, ...]
    problems: tuple[FileProblem, ...]


def manifest_of(stored: str, *, secret: bool) -> str:
    """The rendered YAML of a stored release, hooks left out. `secret`: base64 once more, as in a Secret's `data`.

    Raises Unreadable.
    """
    release = parsed(unpacked(_base64(_base64(stored.encode())) if secret else _base64(stored.encode())))
    manifest = release.get("manifest", "")
    if not isinstance(manifest, str):
        raise Unreadable("its manifest is no text")
    if len(manifest) > MOST_MANIFEST:
        raise Unreadable(f"its manifest is larger than {MOST_MANIFEST >> 20} MiB")
    return manifest


def unpacked(raw: bytes) -> bytes:
    """Without the gzip around it, if there is one. Raises Unreadable where it is broken or unfolds to too much."""
    if not raw.startswith(GZIP):
        return raw
    engine = zlib.decompressobj(GZIP_FORMAT)
    try:
        found = engine.decompress(raw, MOST_BYTES + 1)
    except zlib.error as error:
        raise Unreadable("its gzip is broken") from error
    if len(found) > MOST_BYTES:
        raise Unreadable(f"it unfolds to more than {MOST_BYTES >> 20} MiB")
    if not engine.eof:
        raise Unreadable("its gzip ends too early")
    return found


def parsed(raw: bytes) -> dict[str, Any]:
    """The release itself. Raises Unreadable."""
    try:
        release = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable("it is no JSON") from error
    if not isinstance(release, dict):
        raise Unreadable("it is no release")
    return release


def render(name: str, manifest: str, namespace: str) -> Rendered:
    """The objects of a rendered manifest; those that name no namespace are in the release's.

    Cluster-scoped kinds get it as well: whoever binds a manifest to a cluster takes it away again.
    """
    documents, problems = read_text(name, manifest)
    found = []
    for document in documents:
        for item in flatten(document.value):
            wrong = list(check(name, document.node, item.obj, item.path))
            if wrong:
                problems += wrong
                continue
            line = place(document.node, item.path)[0] if item.path else document.line
            found.append(Manifest(within(as_declared(item.obj), namespace), name, line))
    return Rendered(tuple(found), tuple(problems))


def within(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object in `namespace` where it names none."""
    if not namespace or obj["metadata"].get("namespace"):
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable("it is no base64") from error
