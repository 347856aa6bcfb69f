"""The page's own style and script and the chart library, put into every page, so that it works without a network.

uPlot (MIT, `vendor/LICENSE-uPlot.txt`) draws the charts: 50 kB, no dependencies. The page's content policy allows these
texts alone, by their hashes, and no request at all: what a hostile label could smuggle in would neither run nor load.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

UPLOT = "uPlot 1.6.32"
UPLOT_SHA256 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""Of the files as their authors publish them."""


@dataclass(frozen=True)
class Assets:
    """What goes into a page's head and foot. `policy` is the value of Content-Security-Policy."""

    style: str
    scripts: tuple[str, ...]
    policy: str


@cache
def assets() -> Assets:
    """Read once a process."""
    style = read("vendor", "uPlot.min.css") + read("page.css")
    scripts = (notice() + read("vendor", "uPlot.iife.min.js"), read("page.js"))
    allowed = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": " ".join(map(_hash, scripts)),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Assets(style, scripts, "; ".join(f"{what} {sources}" for what, sources in allowed.items()))


def notice() -> str:
    """The library's licence, which asks to be in every copy."""
    return f"/* {UPLOT}\n{read('vendor', 'LICENSE-uPlot.txt').strip()}\n*/\n"


def read(*path: str) -> str:
    """One of the files beside this module."""
    return files("services.local.report_page").joinpath(*path).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
