"""Print rows the way `--output` says: a table for people, JSON or YAML for programs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
import orjson
import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.base import rfc3339
from services.runtime.logging import visible

FORMS = ("table", "json", "yaml")
PIPE_WIDTH = 240
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def output_option(command: CommandT) -> CommandT:
    """`--output table|json|yaml`."""
    return click.option("--output", "-o", type=click.Choice(FORMS), default="table", show_default=True)(command)


def print_data(data: Any, output: str) -> None:
    """Print what is not a table, as JSON or YAML. Times are RFC 3339 in UTC."""
    plain = orjson.loads(orjson.dumps(_plain(data), default=str, option=orjson.OPT_NON_STR_KEYS))
    if output == "yaml":
        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())


def print_rows(
    rows: Sequence[Mapping[str, Any]], output: str, columns: Mapping[str, str] | None = None, empty: str = ""
) -> None:
    """Print rows. `columns` gives the table's columns and their titles; the other forms carry every field.

    `empty` is said on a terminal's table when there are no rows.
    """
    if output != "table":
        return print_data([dict(row) for row in rows], output)
    if not rows:
        return click.echo(empty) if empty else None
    titles = columns or {name: name for name in rows[0]}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in titles.values():
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in titles))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, no_color=True)
    console.print(table)


def cell(value: Any) -> str:
    """A value as a table shows it; times to the millisecond, and nothing that a terminal would obey."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return rfc3339(value)[:-4] + "Z"
    if isinstance(value, list | tuple):
        return visible(", ".join(map(str, value)))
    return visible(str(value))


def _plain(data: Any) -> Any:
    if isinstance(data, datetime):
        return rfc3339(data)
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    return [_plain(part) for part in data] if isinstance(data, list | tuple) else data
