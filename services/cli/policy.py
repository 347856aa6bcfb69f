"""`setpoint policy`: what policies make of events: one that is given, golden cases, or the recorded past."""

import click

from services.cli.policy_backtest import backtest
from services.cli.policy_explain import explain
from services.cli.policy_test import test


@click.group(
    name="policy",
    epilog="Example: setpoint policy explain alert.json --policies ./policies",
    short_help="explain, test and backtest policies",
)
def command() -> None:
    """See what policies make of events, by the code that decides in the reconciler, without touching anything."""


command.add_command(explain)
command.add_command(test)
command.add_command(backtest)
