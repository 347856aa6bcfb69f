"""`setpoint pause`: decide and record, but touch nothing, until resumed or until a time."""

import asyncio
from datetime import datetime, timedelta

import click

from schemas.base import parse_duration, rfc3339
from schemas.events import ControlKind, ControlSet
from services.cli.controlling import SOURCE, Where, caller, name_of, place_of, scope_options, where
from services.runtime.clock import SystemClock
from services.runtime.controls import control_writer


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    try:
        found = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return found if isinstance(found, timedelta) else None


@click.command(
    name="pause",
    epilog="Example: setpoint pause --namespace payments --for 2h --reason 'database migration'",
    short_help="stop acting on a cluster, namespace or object",
)
@scope_options
@click.option("--for", "length", metavar="DURATION", callback=_duration, help="Ends by itself, such as 30m or 2h.")
@click.option("--reason", default="", help="For those who wonder later.")
@click.option("--kill-switch", is_flag=True, help="Also beats everything else: nothing is touched, not even retried.")
def command(
    cluster: str | None, namespace: str | None, target: str | None, kafka: str | None, length: timedelta | None,
    reason: str, kill_switch: bool,
) -> None:  # fmt: skip
    """Drift is still seen and recorded, with the decision 'wait: paused'. Lifted by 'setpoint resume'."""
    place = where(cluster, namespace, target, kafka)
    kind = ControlKind.KILL_SWITCH if kill_switch else ControlKind.PAUSE
    until = SystemClock().now() + length if length else None
    asyncio.run(_put(place, kind, until, reason))
    click.echo(f"{place_of(place.scope)}: {kind} {'until ' + rfc3339(until) if until else 'until resumed'}")


async def _put(place: Where, kind: ControlKind, until: datetime | None, reason: str) -> None:
    control = ControlSet(
        name=name_of(place.scope, kind), kind=kind, scope=place.scope, until=until, by=caller(), reason=reason
    )
    async with control_writer(place.bootstrap, SystemClock(), SOURCE) as writer:
        await writer.put(control)
