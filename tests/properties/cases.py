"""Declared objects for the properties: a baseline's entry around an object, and how findings are written down."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, key_of, version_of
from services.kube.verdict.judge import Finding

DEPLOYER, CONTROLLER, PERSON = "deployer", "rollouts", "kubectl-edit"
T = TypeVar("T")


def declare(obj: Object, *ignore: str) -> Declared:
    """As a baseline with a manager and one trusted controller declares it."""
    packer = Packer()
    return Declared(
        baseline="base", key=key_of(obj), version=version_of(obj), packed=packer.pack(obj), packer=packer,
        ignore=ignore, trusted=frozenset({DEPLOYER, CONTROLLER}), manager=DEPLOYER, file="all.yaml", line=1, digest="d",
    )  # fmt: skip


def told(finding: Finding) -> list[tuple[str, str]]:
    """The differences, sorted."""
    return sorted((diff.kind, diff.path) for diff in finding.fields)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waits")
