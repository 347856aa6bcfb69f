"""When two differently written values are one value to Kubernetes: quantities, durations, int-or-string, empties.

Called by `services/kube/comparison/diff.py` only after a plain comparison has failed, so it may be slow and exact.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from services.kube.comparison.schema import SchemaNode

SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}
QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)([numkMGTPE]?|[KMGTPE]i)")
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
SECONDS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}

# Built-in types whose Go field is no pointer: the server drops false and 0 there when it writes the object. Derived
# from the `omitempty` tags of k8s.io/api; names that are a pointer in another type are left out, since an absent
# `allowPrivilegeEscalation` is not the same as a false one.
DROPPED_ZEROS = frozenset(
    "hostIPC hostNetwork hostPID hostPort initialDelaySeconds insecureSkipTLSVerifyBackend minReadySeconds nodePort "
    "paused publishNotReadyAddresses stdin stdinOnce tty unschedulable globalDefault readOnly "
    "healthCheckNodePort chapAuthDiscovery chapAuthSession clusterScope deprecated exclusiveMaximum exclusiveMinimum "
    "insecureSkipTLSVerify nullable number preserveUnknownFields sslEnabled uniqueItems "
    "x-kubernetes-embedded-resource x-kubernetes-int-or-string".split()
)
# The same, but the server then puts its default in their place.
ZERO_MEANS_DEFAULT = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
LONGEST = 100  # characters of a quantity or duration
# An empty text means something else than an absent one here.
MEANINGFUL_EMPTY = frozenset({"storageClassName"})


@lru_cache(maxsize=4096)
def quantity(text: str) -> Decimal | None:
    """`100m`, `0.1`, `3Gi` → exact number; None where the text is no quantity, or longer than any is."""
    found = QUANTITY.fullmatch(text)
    if not found:
        return None
    try:
        return Decimal(found[1]) * SUFFIXES[found[2]]
    except (InvalidOperation, KeyError):
        return None


@lru_cache(maxsize=4096)
def duration(text: str) -> Decimal | None:
    """Go's `1h30m` → seconds; None where the text is no duration."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return Decimal(0)
    parts = DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        return None
    return sign * sum((Decimal(number) * Decimal(SECONDS[unit]) for number, unit in parts), Decimal(0))


def same_scalar(desired: Any, live: Any, node: SchemaNode) -> bool:
    """True where two scalars that are not equal as JSON are equal to Kubernetes."""
    if isinstance(desired, bool) or isinstance(live, bool):
        return desired is live
    if isinstance(desired, int | float) and isinstance(live, int | float):
        return desired == live
    if not isinstance(desired, str | int | float) or not isinstance(live, str | int | float):
        return False
    if isinstance(desired, str) and isinstance(live, str) and max(len(desired), len(live)) > LONGEST:
        return False
    if node.is_quantity:
        left = quantity(_text(desired))
        if left is not None and left == quantity(_text(live)):
            return True
    if node.is_int_or_string and _text(desired) == _text(live):
        return True
    if node.is_duration and isinstance(desired, str) and isinstance(live, str):
        left = duration(desired)
        return left is not None and left == duration(live)
    return False


def _text(value: str | int | float) -> str:
    """As text, "" for what is too long to be an amount: patterns and number conversion take the square of a length."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else ""
    return str(value) if isinstance(value, float) or value.bit_length() <= 4 * LONGEST else ""


def zero_means(name: str | int, desired: Any, live: Any, node: SchemaNode) -> bool:
    """True where a declared 0 says "the default" and live holds that."""
    return desired == 0 and type(desired) is int and node.built_in and ZERO_MEANS_DEFAULT.get(str(name), 0) == live


def is_empty(value: Any) -> bool:
    """None, "", [], {} and maps of nothing but those."""
    if isinstance(value, dict):
        return len(value) < 64 and all(child in (None, "", [], {}) for child in value.values())
    return value is None or (isinstance(value, str | list) and not value)


def absent_is_same(name: str, desired: Any, node: SchemaNode, in_free_map: bool) -> bool:
    """True where declaring `desired` under `name` and having nothing there is the same to Kubernetes."""
    if desired is None:
        return True
    if isinstance(desired, str):
        return not desired and not in_free_map and name not in MEANINGFUL_EMPTY
    if isinstance(desired, bool | int | float):
        return not desired and node.built_in and name in DROPPED_ZEROS
    return is_empty(desired)
