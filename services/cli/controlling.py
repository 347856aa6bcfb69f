"""What `pause` and `resume` share: where the broker is, which cluster is meant, and the scope's name."""

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from schemas.events import Scope
from schemas.target import Target
from services.cli.options import kafka_option
from services.local.running import the_running
from services.runtime.errors import UsageError
from services.runtime.settings import load_settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
SOURCE = "setpoint/cli"


@dataclass(frozen=True)
class Where:
    """The broker, and the scope that a control holds in."""

    bootstrap: str
    scope: Scope


def scope_options(command: CommandT) -> CommandT:
    """`--cluster`, `--namespace`, `--target`, `--kafka`."""
    for option in (
        kafka_option,
        click.option("--target", metavar="SUBJECT", help="One object: cluster/group/kind/namespace/name."),
        click.option("--namespace", help="One namespace of the cluster."),
        click.option("--cluster", help="The cluster, as its events name it. Default: the running 'up'."),
    ):
        command = option(command)
    return command


def where(cluster: str | None, namespace: str | None, target: str | None, kafka: str | None) -> Where:
    """From the options, the environment and a running `up`, in this order. Raises UsageError where none of them say."""
    if namespace and target:
        raise UsageError("--namespace and --target exclude each other", "Give one of them")
    try:
        subject = Target.from_subject(target) if target else None
    except ValueError as error:
        raise UsageError(str(error), "Copy it from 'setpoint drift --output json'") from error
    settings = load_settings(cluster=cluster, kafka=kafka)
    name = subject.cluster if subject else settings.cluster
    running = the_running(name) if not (settings.kafka and name) else None
    bootstrap = settings.kafka
    if running:
        name, bootstrap = name or running.cluster, bootstrap or running.kafka
    if not name or not bootstrap:
        missing = "--cluster NAME" if not name else "--kafka HOST:PORT"
        raise UsageError("no 'setpoint up' of that cluster runs here", f"Give {missing}")
    return Where(bootstrap, Scope(cluster=name, namespace=namespace, subject=target))


def name_of(scope: Scope, kind: str) -> str:
    """A control's name: one of a kind a scope."""
    place = scope.subject or (f"namespace/{scope.namespace}" if scope.namespace else "everything")
    return f"{kind}:{place}"


def place_of(scope: Scope) -> str:
    """The scope in words."""
    whole = f"namespace {scope.namespace} of {scope.cluster}" if scope.namespace else f"all of {scope.cluster}"
    return scope.subject or whole


def caller() -> str:
    """Who calls, as the machine knows it."""
    return getpass.getuser()
