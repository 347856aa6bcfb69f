"""Structured logs: one JSON object a line, or coloured lines for people. Never values of objects, only their names.

Names come from outside too: whatever one holds, it neither ends a line nor moves a cursor.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
NOISY = ("aiokafka", "asyncio", "kubernetes_asyncio", "aiohttp.access")

Log = Any  # structlog's bound logger; its own type is a lazy proxy


def configure_logging(level: str = "info", form: str = "json", file: Path | None = None) -> None:
    """Set up this process' logs once, on stderr or into `file`. Libraries' warnings come the same way."""
    target: TextIO = file.open("a", encoding="utf-8", buffering=1) if file else sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        final: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    else:
        final = [_plain, structlog.dev.ConsoleRenderer(colors=target.isatty())]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    handler.addFilter(Sparse())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


class Sparse(logging.Filter):
    """Lets a library's line pass once in `every` seconds. aiokafka says some hundred times a second that the broker is
    away; our own lines, which tell what that means, do not come this way."""

    def __init__(self, every: float = 10.0) -> None:
        super().__init__()
        self.every = every
        self.passed: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = record.pathname, record.lineno
        last = self.passed.get(place)
        if last is not None and record.created - last < self.every:
            return False
        self.passed[place] = record.created
        return True


def get_log(service: str) -> Log:
    """A logger that names its service in every line."""
    return structlog.get_logger(service=service)


def _plain(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Texts without what a terminal would obey; all else is shown by its `repr`, which has the same effect."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}


def visible(text: str) -> str:
    """The text, with what cannot be printed as JSON's escapes."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def _json(value: Any, **_: Any) -> str:
    """JSON escapes control characters by itself, but not those that turn the reading round or end lines elsewhere."""
    return visible(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
