"""Pieces of HTML. Everything that comes from the record passes `shown` or `data`, and nothing else makes text of it."""

from html import escape
from typing import Any

import orjson

from services.local.report_page.words import text

CLOSING = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def shown(value: Any) -> str:
    """A value as text of an element or of a quoted attribute."""
    return escape(text(value), quote=True)


def data(value: Any, name: str = "chart") -> str:
    """A block of JSON that no label can end: `<`, `>` and `&` stand in it as JSON's escapes."""
    return f'<script type="application/json" class="{name}">{orjson.dumps(value).decode().translate(CLOSING)}</script>'


def element(tag: str, inside: str, name: str = "", **attributes: Any) -> str:
    """An element with a class name; `inside` is HTML already, the attributes' values are not."""
    given = {"class": name, **attributes} if name else attributes
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{shown(value)}"' for key, value in given.items())
    return f"<{tag}{written}>{inside}</{tag}>"
