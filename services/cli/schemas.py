"""`setpoint schemas`: the JSON Schemas of events and files, for editors and for other programs."""

import click

from services.cli.printing import print_data
from services.runtime.errors import UsageError
from services.runtime.schemas_export import current_schemas


@click.command(
    name="schemas",
    epilog="Example: setpoint schemas Policy > policy.schema.json",
    short_help="print the JSON Schemas of events and files",
)
@click.argument("name", required=False)
@click.option("--output", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
def command(name: str | None, output: str) -> None:
    """List what there are schemas of, or print the one of NAME."""
    schemas = current_schemas()
    if name is None:
        for known in schemas:
            click.echo(known)
    elif name in schemas:
        print_data(schemas[name], output)
    else:
        raise UsageError(f"there is no schema '{name}'", "Call 'setpoint schemas' for the list")
