"""Keep the values of Secrets inside the cluster: before anything leaves the process, they become keyed hashes.

Called on objects and diffs by everything that makes events, logs, output or messages. Dangerous the other way round:
a masked value must never be applied, so masking always works on a copy and a masked object is marked by its values.
Equal values have equal hashes under one key, so that "changed back" can be seen without seeing the value.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from services.kube.api.errors import Invalid
from services.kube.objects import LAST_APPLIED, Object, metadata_of
from services.kube.pointer import FieldDiff, parse_pointer, to_pointer

PREFIX = "hmac:"
SECRET_FIELDS = ("data", "stringData")
LONGEST_NOTE = 32  # characters of a Secret's annotation that is shown
MASKED = re.compile(re.escape(PREFIX) + "[0-9a-f]{12}")


class MaskedValue(Invalid):
    """Somebody is about to store what was printed in a Secret's value's place."""


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
    if isinstance(annotations, dict) and any(_may_copy(name, text) for name, text in annotations.items()):
        hidden = {name: _annotation(name, text, key) for name, text in annotations.items()}
        masked["metadata"] = {**obj["metadata"], "annotations": hidden}
    return masked


def _may_copy(name: str, text: Any) -> bool:
    """True for an annotation in which a tool may keep the whole object, as kubectl, kapp and Rancher do, or a token."""
    return name == LAST_APPLIED or not isinstance(text, str) or len(text) > LONGEST_NOTE


def _annotation(name: str, text: Any, key: bytes) -> Any:
    return mask_value(text, key) if _may_copy(name, text) else text


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
    if len(path) >= 3:
        return None if value is None else _annotation(path[2], value, key)
    if not isinstance(value, dict):
        return value
    if not path:
        return mask({**value, "kind": "Secret", "apiVersion": "v1"}, key)
    inside = len(path) == 2
    return {name: _hidden(child, (*path, name), key) if inside or name == "annotations" else child
            for name, child in value.items()}  # fmt: skip


def masked_at(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of the masked values in what is to be written of a Secret, be it an object or a JSON patch."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from masked_at(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from masked_at(child, (*path, index))
    elif isinstance(value, str) and (MASKED.fullmatch(value) or MASKED.fullmatch(_plain(value))):
        yield path


def refuse_masked(body: Any) -> None:
    """Raise MaskedValue, naming the places, where a Secret's body holds a value that only stands for another."""
    places = [to_pointer(path) for path in masked_at(body)]
    if places:
        raise MaskedValue(f"{', '.join(places)}: a masked value, as Setpoint prints it, is not the Secret's own")


def _plain(text: str) -> str:
    """The text behind base64, "" where it is none."""
    try:
        return base64.b64decode(text, validate=True).decode("ascii") if len(text) < 64 else ""
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
