"""`setpoint`: one command, one file a sub-command, loaded only when it is called."""

import importlib
import sys
from collections.abc import Sequence

import click

from services.runtime.errors import SetpointError, Temporary, UsageError, UserFileError

COMMANDS = {
    "up": "run every service on this machine against the cluster you name",
    "demo": "show the main loop on a throwaway cluster",
    "run": "run one service, as in production",
    "check": "check baselines, policies and settings",
    "policy": "explain, test and backtest policies",
    "actions": "what policies can do, and what it needs",
    "rbac": "the least roles that policies need",
    "diff": "compare what is declared with a cluster, now",
    "baseline": "make a first baseline from what runs, and learn whom to trust",
    "drift": "list open drifts",
    "timeline": "everything that happened to one object, in order",
    "report": "the dashboards without Grafana: on the terminal, or as one HTML file",
    "pause": "stop acting on a cluster, namespace or object",
    "resume": "act again after a pause",
    "approvals": "list the questions that people are asked",
    "approve": "say yes to a plan that people are asked about",
    "deny": "say no to a plan that people are asked about",
    "topics": "list the Kafka topics, or create the missing ones",
    "schemas": "print the JSON Schemas of events and files",
    "migrate": "bring ClickHouse's tables up to date",
    "replay": "send dead letters back to where they came from, once that can be read",
    "doctor": "check every part: reachable, rights, lag, completeness of the record",
}
USAGE, AWAY = 2, 3


class Commands(click.Group):
    """Imports `services.cli.<name>` when `<name>` is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"services.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="setpoint")
def setpoint() -> None:
    """Keeps Kubernetes platforms at their declared state, and records who changed what.

    Exit codes: 0 fine, 1 found something, 2 wrong use, 3 a part is away.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Errors that people can do something about are one line, without a traceback."""
    try:
        code = setpoint.main(arguments, prog_name="setpoint", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return USAGE
    except SetpointError as error:
        click.echo(f"setpoint: {error}", err=True)
        return exit_code(error)


def exit_code(error: SetpointError) -> int:
    """2 for what the caller must change, 3 for a part that is away or refuses."""
    return USAGE if isinstance(error, UsageError | UserFileError) and not isinstance(error, Temporary) else AWAY


if __name__ == "__main__":
    sys.exit(main())
