"""`setpoint resume`: act again; also ends what only a person may end, such as a chain of attempts that did not help."""

import asyncio

import click

from schemas.events import ControlKind, ControlRemoved
from services.cli.controlling import SOURCE, Where, caller, name_of, place_of, scope_options, where
from services.runtime.clock import SystemClock
from services.runtime.controls import control_writer


@click.command(
    name="resume",
    epilog="Example: setpoint resume --namespace payments",
    short_help="act again after a pause",
)
@scope_options
def command(cluster: str | None, namespace: str | None, target: str | None, kafka: str | None) -> None:
    """Lift the pause and the kill switch that were set with the same scope. Open drifts are decided again at once."""
    place = where(cluster, namespace, target, kafka)
    asyncio.run(_remove(place))
    click.echo(f"{place_of(place.scope)}: resumed")


async def _remove(place: Where) -> None:
    async with control_writer(place.bootstrap, SystemClock(), SOURCE) as writer:
        for kind in ControlKind:
            await writer.remove(ControlRemoved(name=name_of(place.scope, kind), scope=place.scope, by=caller()))
