"""`kubectl setpoint …`: the same command as a plug-in of kubectl, which finds `kubectl-setpoint` on PATH.

Who types `kubectl` means the cluster that kubectl would take, so the commands that only read take its current context
and say so. All others want the cluster named, as ever.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from services.cli.main import main as setpoint
from services.kube.api.session import current_context
from services.runtime.errors import UsageError

READING = ("diff", "baseline")
NAMING = ("--context", "--kubeconfig")
VARIABLE = "SETPOINT_CONTEXT"


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    context = implied_context(given, os.environ)
    if context:
        os.environ[VARIABLE] = context
        click.echo(f"context {context}, kubectl's current one", err=True)
    return setpoint(given)


def implied_context(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The current context where a reading command was given no cluster; None where one is named, or none is current."""
    named = environ.get(VARIABLE) or any(part.partition("=")[0] in NAMING for part in arguments)
    if named or not arguments or arguments[0] not in READING or {"-h", "--help"}.intersection(arguments):
        return None
    for name in filter(None, environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep)):
        try:
            return current_context(Path(name).expanduser())
        except UsageError:
            continue  # one of several files may be missing or name none; the command itself asks for a cluster then
    return None


if __name__ == "__main__":
    sys.exit(main())
