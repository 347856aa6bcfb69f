"""Signatures that are an HMAC-SHA256 as hex digits in one header, over the body or what the sender makes of it."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime

from services.gateway.proof import TOLERANCE, Headers, Proof, always, any_equal, sent

Covered = Callable[[Headers, bytes], bytes]


def hex_signature(
    header: str, prefix: str = "", covers: Covered = lambda headers, body: body,
    fresh: Callable[[Headers, datetime], bool] = always,
) -> Proof:  # fmt: skip
    """A Proof: `header` (lower case) is `prefix` and the digits; `covers` gives the bytes that were signed."""

    def check(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
        covered = covers(headers, body)
        digits = [hmac.new(secret, covered, hashlib.sha256).hexdigest() for secret in secrets]
        return any_equal(sent(headers, header), [f"{prefix}{one}".encode() for one in digits])

    return Proof(check, needs_body=True, fresh=fresh, shown=header)


def recent(seconds: bytes, now: datetime) -> bool:
    """Whether a Unix time in decimal digits is close enough to now, before or after."""
    told = int(seconds) if seconds.isdigit() and len(seconds) <= 12 else 0
    return abs(now.timestamp() - told) <= TOLERANCE.total_seconds()
