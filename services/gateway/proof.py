"""How a sender proves that it knows its secret: in constant time, against each secret that is valid now.

Two secrets are valid at a time, so that one can be replaced without a gap: add the new one, move the sender, drop the
old one. Where there is none, nobody is let in. Whatever the headers hold, a check answers yes or no and never raises.

A sender that is known by its client certificate has `cn:NAME` in the place of a secret. NAME is public, so such an
entry is never a token or a key: `Proof.holds` gives each kind of proof its own kind of entries alone. Ask `holds`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_bytes

Headers = Mapping[str, str]
PEER = ":client-certificate"
"""Not a name that HTTP lets anybody send. The app puts the names of a verified certificate here, one a line."""
REPEATED = "\n"
"""Joins the values of a header that came more than once; no value has it, and no proof takes one that does."""
BY_NAME, SIGNING_KEY = b"cn:", b"whsec_"
TOLERANCE = timedelta(minutes=5)
"""How far a signed time may be from now, to both sides (Standard Webhooks' own value)."""


def always(headers: Headers, now: datetime) -> bool:
    """Of a proof that has no time in it."""
    return True


@dataclass(frozen=True)
class Proof:
    """`check(headers, body, secrets)`; header names are lower case. `needs_body`: only the raw bytes can prove it.

    Where the body is not needed the check comes before a byte of it is read. `fresh(headers, now)` says whether what
    was signed is of now. `by_name`: the secrets are names in certificates. `others`: other ways that will do as well.
    `shown` is what the OpenAPI document calls it: `bearer`, `basic`, `certificate`, or the header that holds it.
    """

    check: Callable[[Headers, bytes, Sequence[bytes]], bool]
    needs_body: bool
    fresh: Callable[[Headers, datetime], bool] = always
    by_name: bool = False
    others: tuple["Proof", ...] = ()
    shown: str = ""

    def holds(self, headers: Headers, body: bytes, secrets: Sequence[bytes], now: datetime) -> bool:
        """Whether the request comes from who knows one of `secrets`, and comes now."""
        own = [secret for secret in secrets if secret.startswith(BY_NAME) is self.by_name]
        found = [self.check(headers, body, own) and self.fresh(headers, now)]
        return any(found + [other.holds(headers, body, secrets, now) for other in self.others])


def either(one: Proof, *more: Proof) -> Proof:
    """Any of these will do."""
    return replace(one, needs_body=any(way.needs_body for way in (one, *more)), others=(*one.others, *more))


def any_equal(given: bytes, expected: Sequence[bytes]) -> bool:
    """Whether `given` is one of `expected`; all are compared, whichever fits. Nothing is never one of them.

    Who has no secret at all is answered in the same time: one comparison with a value that nobody can know.
    """
    found = [hmac.compare_digest(_digest(given), _digest(one)) for one in expected or (token_bytes(32),)]
    return any(found) and bool(given) and bool(expected)


def sent(headers: Headers, name: str) -> bytes:
    """A header's value as the bytes that came; nothing where it is absent, or came more than once."""
    value = headers.get(name, "")
    return b"" if REPEATED in value else value.encode("latin-1", "backslashreplace").strip()


def token_header(name: str, scheme: str = "") -> Proof:
    """The secret itself in a header of this (lower-case) name, after `scheme` and a space where there is one."""

    def check(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
        return any_equal(_after(scheme, sent(headers, name)), secrets)

    return Proof(check, needs_body=False, shown=scheme or name)


def _after(scheme: str, value: bytes) -> bytes:
    if not scheme:
        return value
    said, _, token = value.partition(b" ")
    return token.strip() if said.lower() == scheme.encode() else b""


def _basic(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
    """RFC 7617, whoever the user is: the password is the secret."""
    try:
        pair = base64.b64decode(_after("basic", sent(headers, "authorization")), validate=True)
    except binascii.Error:
        pair = b""
    return any_equal(pair.partition(b":")[2], secrets)


def _certificate(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
    names = headers.get(PEER, "").split(REPEATED)
    found = [any_equal(BY_NAME + name.encode(), secrets) for name in names if name]
    return any(found)


def _github(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
    expected = [b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode() for secret in secrets]
    return any_equal(sent(headers, "x-hub-signature-256"), expected)


def _standard_webhooks(headers: Headers, body: bytes, secrets: Sequence[bytes]) -> bool:
    """One signature of the several that the header may hold is enough, as while the sender replaces its key."""
    told, when, signatures = (sent(headers, f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    covered = b".".join((told, when, body))
    expected = [b"v1," + _signature(key, covered) for key in _keys(secrets)]
    found = [any_equal(one, expected) for one in signatures.split()[:10]]
    return any(found) and bool(told) and bool(when)


def _signature(key: bytes, covered: bytes) -> bytes:
    return base64.b64encode(hmac.new(key, covered, hashlib.sha256).digest())


def _keys(secrets: Iterable[bytes]) -> list[bytes]:
    """As they are, or what base64 says after `whsec_`; one that says nothing is none."""
    return [key for secret in secrets if (key := signing_key(secret))]


def signing_key(secret: bytes) -> bytes:
    """The bytes that sign. Nothing for `whsec_` before what is no base64."""
    if not secret.startswith(SIGNING_KEY):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_KEY), validate=True)
    except binascii.Error:
        return b""


def _recent(headers: Headers, now: datetime) -> bool:
    when = sent(headers, "webhook-timestamp")
    seconds = int(when) if when.isdigit() and len(when) <= 12 else 0
    return abs(now.timestamp() - seconds) <= TOLERANCE.total_seconds()


def _digest(value: bytes) -> bytes:
    """Of one length for all, so that not even a secret's length shows in the time that it takes."""
    return hashlib.blake2b(value).digest()


BEARER = token_header("authorization", "bearer")
"""RFC 6750."""
BASIC = Proof(_basic, needs_body=False, shown="basic")
AUTHORIZATION = either(token_header("authorization"), BEARER)
"""The header as a whole is the secret (Harbor's way), or what follows `Bearer`."""
CLIENT_CERTIFICATE = Proof(_certificate, needs_body=False, by_name=True, shown="certificate")
"""A certificate that the gateway's CA has signed, with a name (CN or alternative name) that the secrets allow."""
GITHUB = Proof(_github, needs_body=True, shown="x-hub-signature-256")
"""https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
STANDARD_WEBHOOKS = Proof(_standard_webhooks, needs_body=True, fresh=_recent, shown="webhook-signature")
"""https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
