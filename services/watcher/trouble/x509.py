"""From when to when a certificate is valid: the two times of an X.509 certificate, and nothing else of it.

RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version?, serial, signature, issuer, validity
SEQUENCE { notBefore, notAfter }, … } … }. A walk to the fifth element needs no cryptography; what else a Secret holds
is not looked at.
"""

import binascii
from datetime import UTC, datetime
from typing import NamedTuple

from services.runtime.alerts.loose import FIRST_YEAR, LAST_YEAR

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
SEQUENCE, VERSION, UTC_TIME, GENERAL_TIME = 0x30, 0xA0, 0x17, 0x18
BEFORE_VALIDITY = 3  # serial, signature, issuer
LONGEST = 64 * 1024


class Validity(NamedTuple):
    """Both times included."""

    begins: datetime
    ends: datetime


def validity(pem_in_base64: str) -> Validity | None:
    """Of the first certificate of a PEM file, as a Secret holds it: the server's own. None for what is none."""
    try:
        return _validity(_first(binascii.a2b_base64(pem_in_base64[:LONGEST])))
    except (ValueError, IndexError):  # binascii.Error is a ValueError
        return None


def _first(pem: bytes) -> bytes:
    start = pem.index(BEGIN) + len(BEGIN)
    return binascii.a2b_base64(pem[start : pem.index(END, start)])


def _validity(der: bytes) -> Validity:
    inner = _content(_content(der, SEQUENCE), SEQUENCE)
    _, rest = _next(inner)
    at = rest if inner[0] == VERSION else inner
    for _ in range(BEFORE_VALIDITY):
        _, at = _next(at)
    times = _content(at, SEQUENCE)
    _, after_first = _next(times)
    return Validity(_time(times), _time(after_first))


def _next(der: bytes) -> tuple[bytes, bytes]:
    """The content of the first element, and what comes after it."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("torn")
    return der[start : start + length], der[start + length :]


def _content(der: bytes, tag: int) -> bytes:
    if der[0] != tag:
        raise ValueError("another element")
    return _next(der)[0]


def _time(der: bytes) -> datetime:
    """UTCTime has two digits for the year, of which 50 and more are of the last century."""
    written = _content(der, der[0]).decode("ascii")
    if der[0] not in (UTC_TIME, GENERAL_TIME) or not written.endswith("Z"):
        raise ValueError("no time")
    if der[0] == UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    found = datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    if not found.year >= FIRST_YEAR:
        raise ValueError("out of range")
    return min(found, datetime(LAST_YEAR, 1, 1, tzinfo=UTC))  # 9999 stands for no end
