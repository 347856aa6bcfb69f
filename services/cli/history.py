"""What the commands that read the record share: where it is, and how far back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from schemas.base import parse_duration
from services.local.running import running_clickhouse
from services.runtime.errors import UsageError
from services.runtime.settings import load_settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def clickhouse_option(command: CommandT) -> CommandT:
    """`--clickhouse URL`."""
    return click.option(
        "--clickhouse",
        metavar="URL",
        help="http(s)://user:password@host:8123/database; default: SETPOINT_CLICKHOUSE, else the running 'up'.",
    )(command)


def clickhouse_url(given: str | None) -> str:
    """The option, else SETPOINT_CLICKHOUSE, else the running `up`. Raises UsageError when there is none."""
    url = load_settings(clickhouse=given).clickhouse or running_clickhouse()
    if url is None:
        raise UsageError(
            "no ClickHouse was named and no 'setpoint up' is running here",
            "Give --clickhouse or set SETPOINT_CLICKHOUSE",
        )
    return url


class Ago(click.ParamType[datetime]):
    """A duration such as 30m, 24h or 7d, or a time with its zone; gives the point in time."""

    name = "duration|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            duration = parse_duration(str(value))
        except ValueError:
            duration = None
        if isinstance(duration, timedelta):
            return datetime.now(UTC) - duration
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"write 30m, 24h, 7d, or 2026-11-24T10:00:00Z, not {value!r}", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"a time needs its zone, such as 2026-11-24T10:00:00Z, not {value!r}", param, ctx)
        return moment.astimezone(UTC)
