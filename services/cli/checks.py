"""One line of what `setpoint doctor` found."""

from typing import NamedTuple


class Check(NamedTuple):
    """`away` tells a part that does not answer from one that answers something wrong."""

    part: str
    what: str
    ok: bool
    detail: str = ""
    fix: str = ""
    away: bool = False
