"""Keep the values of Secrets inside the cluster: before anything leaves the process, they become keyed hashes.

Called on objects and diffs by everything that makes events, logs, output or messages. Dangerous the other way round:
a masked value must never be applied, so masking always works on a copy and a masked object is marked by its values.
Equal values have equal hashes under one key, so that "changed back" can be seen without seeing the value.
"""

import hashlib
import json
from typing import Any

from services.kube.objects import LAST_APPLIED, Object, metadata_of
from services.kube.pointer import FieldDiff, parse_pointer

PREFIX = "hmac:"
SECRET_FIELDS = ("data", "stringData")


def mask_value(value: Any, key: bytes) -> Any:
    """`hmac:<12 hex digits>` of a value; None stays None, the values of a map are hashed one by one."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: mask_value(child, key) for name, child in value.items()}
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key[:64], digest_size=6)
    return PREFIX + digest.hexdigest()


def is_secret(obj: Object) -> bool:
    """True for core Secrets, also in the form that a manifest declares."""
    return obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1"


def mask(obj: Object, key: bytes) -> Object:
    """The object with a Secret's values hashed, as a copy; any other kind comes back as it is."""
    if not is_secret(obj):
        return obj
    masked = {name: mask_value(value, key) if name in SECRET_FIELDS else value for name, value in obj.items()}
    annotations = metadata_of(obj).get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        hidden = {**annotations, LAST_APPLIED: mask_value(annotations[LAST_APPLIED], key)}
        masked["metadata"] = {**obj["metadata"], "annotations": hidden}
    return masked


def mask_diff(diff: FieldDiff, key: bytes) -> FieldDiff:
    """A diff of a Secret with the values hashed that its path leads to."""
    path = parse_pointer(diff.path)
    if path[:1] and path[0] in SECRET_FIELDS:
        return diff._replace(desired=mask_value(diff.desired, key), live=mask_value(diff.live, key))
    if path[:1] in ((), ("metadata",)) and path[:2] in ((), ("metadata",), ("metadata", "annotations")):
        return diff._replace(desired=_hidden(diff.desired, path, key), live=_hidden(diff.live, path, key))
    return diff


def mask_diffs(obj: Object, diffs: list[FieldDiff], key: bytes) -> list[FieldDiff]:
    """The diffs of `obj`, hashed where it is a Secret."""
    return [mask_diff(diff, key) for diff in diffs] if is_secret(obj) else diffs


def _hidden(value: Any, path: tuple[str, ...], key: bytes) -> Any:
    if path[-1:] == (LAST_APPLIED,):
        return mask_value(value, key)
    if not isinstance(value, dict):
        return value
    if not path:
        return mask({**value, "kind": "Secret", "apiVersion": "v1"}, key)
    deeper = ("annotations",) if len(path) == 1 else (LAST_APPLIED,)
    return {name: _hidden(child, (*path, name), key) if (name,) == deeper else child for name, child in value.items()}
