"""`setpoint actions`: what policies can do, with parameters, rights and an example of each."""

from dataclasses import asdict

import click

from services.cli.printing import output_option, print_data, print_rows
from services.reconciler.policies.manual import Entry, entries, right_in_words
from services.runtime.errors import UsageError
from services.runtime.filechecks import closest

COLUMNS = {"name": "ACTION", "answers": "ANSWERS", "reversible": "UNDO", "meaning": "WHAT IT DOES"}
PARAMETERS = {"name": "PARAMETER", "type": "TYPE", "default": "DEFAULT", "meaning": "MEANING"}


@click.command(
    name="actions", epilog="Example: setpoint actions isolate", short_help="what policies can do, and what it needs"
)
@click.argument("name", required=False)
@output_option
def command(name: str | None, output: str) -> int:
    """List the actions that a policy's 'do' and 'else' can name; with NAME, show one in full.

    The rights are those that its example needs: 'setpoint rbac' prints those of your own policies.
    """
    found = [_named(name)] if name else list(entries())
    if output != "table":
        print_data([asdict(entry) for entry in found], output)
    elif name:
        _show(found[0])
    else:
        rows = [asdict(entry) | {"reversible": "yes" if entry.reversible else "no"} for entry in found]
        print_rows(rows, output, COLUMNS)
    return 0


def _named(name: str) -> Entry:
    """An action by the name in policies or in events. Raises UsageError with what was probably meant."""
    known = {entry.name: entry for entry in entries()}
    near = closest(name, known)
    wanted = name.replace("-", "").casefold()
    found = next((entry for key, entry in known.items() if key.casefold() == wanted), None)
    if found is None:
        raise UsageError(f"no action '{name}'", f"Did you mean {near}?" if near else f"Known are {', '.join(known)}")
    return found


def _show(entry: Entry) -> None:
    click.echo(f"{entry.name}: {entry.meaning}\n")
    click.echo(f"answers {entry.answers}; {'can be undone' if entry.reversible else 'cannot be undone'}\n")
    rows = [asdict(one) | {"default": "required" if one.default is None else one.default} for one in entry.parameters]
    print_rows(rows, "table", PARAMETERS)
    click.echo("rights of the example:")
    for rule in entry.rights:
        click.echo(f"  {right_in_words(rule)}")
    if not entry.rights:
        click.echo("  none in the cluster")
    click.echo("\nexample:\n  do:")
    first, *rest = entry.example.splitlines()
    click.echo("\n".join([f"    - {first}", *(f"      {line}" for line in rest)]))
