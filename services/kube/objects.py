"""Small questions about a Kubernetes object held as the plain dict that the API server sent.

Everything in `services/kube` works on dicts: typed models cost memory and drop fields they do not know.
Nothing here changes an object in place.
"""

from collections.abc import Iterator, Mapping
from sys import intern
from typing import Any, NamedTuple

Object = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

SERVER_METADATA = frozenset(
    {"resourceVersion", "uid", "managedFields", "creationTimestamp", "generation", "selfLink", "deletionTimestamp"}
)


class ObjectKey(NamedTuple):
    """One object, whatever version it is read in. `namespace` is "" for cluster-scoped ones, `group` "" for core."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind}{group} {where}{self.name}"


def split_api_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` → ("apps", "v1"); `v1` → ("", "v1")."""
    group, _, version = api_version.rpartition("/")
    return group, version


def group_of(obj: Mapping[str, Any]) -> str:
    """The API group, "" for core."""
    return split_api_version(str(obj.get("apiVersion") or ""))[0]


def version_of(obj: Mapping[str, Any]) -> str:
    """The version inside the group, such as `v1`."""
    return split_api_version(str(obj.get("apiVersion") or ""))[1]


def metadata_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata, empty where an odd object has none."""
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def key_of(obj: Mapping[str, Any]) -> ObjectKey:
    """Which object this is; absent parts are "". What thousands of keys share is held once."""
    metadata = metadata_of(obj)
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    return ObjectKey(intern(group_of(obj)), intern(str(obj.get("kind") or "")), intern(namespace), name)


def managed_fields(obj: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of managedFields that are ones: their words are texts."""
    entries = metadata_of(obj).get("managedFields")
    return (entry for entry in (entries if isinstance(entries, list) else ()) if _is_entry(entry))


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("manager", ""), str)
        and isinstance(entry.get("operation", ""), str)
        and isinstance(entry.get("subresource", ""), str)
        and isinstance(entry.get("apiVersion", ""), str)
    )


def strip(obj: Mapping[str, Any]) -> Object:
    """A shallow copy as a person would declare it: no status, nothing that the server writes into metadata."""
    bare = {name: value for name, value in obj.items() if name != "status"}
    if isinstance(obj.get("metadata"), dict):
        bare["metadata"] = {name: value for name, value in obj["metadata"].items() if name not in SERVER_METADATA}
    return bare
