"""`setpoint deny ID`: say no to a plan that people are asked about."""

import asyncio
from typing import Any

import click

from schemas.approvals import AnswerKind
from services.cli.approving import answer, answer_options, wish_of
from services.runtime.clock import SystemClock


@click.command(
    name="deny",
    epilog="Example: setpoint deny 3c8ab99e --note 'the release is being rolled back by hand'",
    short_help="say no to a plan that people are asked about",
)
@answer_options
def command(**given: Any) -> int:
    """Deny the question whose id begins with ID; one no is enough. 'setpoint approvals' lists them.

    How it is sent, and what authenticates, is as of 'setpoint approve': over the broker its ACLs do, over --gateway
    your own token in SETPOINT_APPROVER_TOKEN.

    Exit codes: 0 sent, with --wait denied; 1 it did not count or the question ended otherwise; 2 no such question;
    3 a part is away or refuses.
    """
    return asyncio.run(answer(wish_of(AnswerKind.DENY, given), SystemClock()))
