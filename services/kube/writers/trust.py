"""Which field managers are no person's hand: Kubernetes' own, known operators, and those that a baseline names.

The shipped lists are data (`data/managers.yaml`) with a reason each. What a trusted manager added is no addition; what
a controller changed is no drift either, unless it is the manager that applies the manifests: that one only ever brings
what is declared, so where the values differ, the declaration has moved on.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import yaml

OURS = frozenset({"setpoint"})  # what it put there is the baseline's


@cache
def shipped(name: str) -> Any:
    """One of the data files beside this module, read once."""
    return yaml.safe_load((resources.files("services.kube") / "data" / name).read_text(encoding="utf-8"))


@cache
def known(group: str) -> frozenset[str]:
    """The names and globs of `kubernetes`, `operators` or `people`."""
    return frozenset(entry["name"] for entry in shipped("managers.yaml")[group])


@lru_cache(maxsize=4096)
def is_controller(manager: str) -> bool:
    """True for Kubernetes' own managers and known operators."""
    return _any(manager, known("kubernetes")) or _any(manager, known("operators"))


@lru_cache(maxsize=4096)
def is_person(manager: str) -> bool:
    """True for tools that somebody sits in front of."""
    return _any(manager, known("people"))


@lru_cache(maxsize=4096)
def trusts(trusted: frozenset[str], manager: str) -> bool:
    """True where what `manager` adds is no addition: a controller, Setpoint, or one that the baseline trusts."""
    return manager in OURS or is_controller(manager) or _any(manager, trusted)


@lru_cache(maxsize=4096)
def may_change(trusted: frozenset[str], applier: str | None, manager: str) -> bool:
    """True where what `manager` changes is no drift: `trusts`, less who applies the manifests."""
    return manager not in OURS and manager != applier and (is_controller(manager) or _any(manager, trusted))


def _any(manager: str, patterns: Iterable[str]) -> bool:
    return any(manager == pattern or ("*" in pattern and fnmatchcase(manager, pattern)) for pattern in patterns)
