"""`setpoint approve ID`: say yes to a plan that people are asked about."""

import asyncio
from typing import Any

import click

from schemas.approvals import AnswerKind
from services.cli.approving import answer, answer_options, wish_of
from services.runtime.clock import SystemClock


@click.command(
    name="approve",
    epilog="Example: setpoint approve 3c8ab99e --note 'looked at it' --wait",
    short_help="say yes to a plan that people are asked about",
)
@answer_options
def command(**given: Any) -> int:
    """Approve the question whose id begins with ID; 'setpoint approvals' lists them.

    The plan is shown first, and the approval holds for exactly that plan, once. It is written to the topic
    setpoint-approvals as the answer of --as, or of this machine's user: there the broker's ACLs are what authenticates,
    so give the right to write that topic to those only who may answer under any name. With --gateway it goes over HTTP
    instead, as the user whom the token in SETPOINT_APPROVER_TOKEN belongs to.

    Exit codes: 0 sent, with --wait approved; 1 it did not count or the question ended otherwise; 2 no such question;
    3 a part is away or refuses.
    """
    return asyncio.run(answer(wish_of(AnswerKind.APPROVE, given), SystemClock()))
