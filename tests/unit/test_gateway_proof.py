"""How senders prove themselves: what is right is let in, everything else is not, and nothing raises."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.proof import (
    AUTHORIZATION,
    BASIC,
    BEARER,
    CLIENT_CERTIFICATE,
    GITHUB,
    PEER,
    REPEATED,
    STANDARD_WEBHOOKS,
    Proof,
    either,
    sent,
    token_header,
)  # fmt: skip
from services.gateway.sources import SOURCES

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET, OLD = b"a secret of some length", b"an older one, still valid"
BODY = b'{"a": 1}'
KEY = b"k" * 32
SIGNING = b"whsec_" + base64.b64encode(KEY)
GITLAB = either(token_header("x-gitlab-token"), STANDARD_WEBHOOKS)


def standard(
    body: bytes = BODY, key: bytes = KEY, at: datetime = NOW, before: str = "", **changes: str
) -> dict[str, str]:
    """Headers as Standard Webhooks has them; `changes` come after signing."""
    when = str(int(at.timestamp()))
    digest = hmac.new(key, b".".join((b"msg_1", when.encode(), body)), hashlib.sha256).digest()
    signature = f"{before}v1,{base64.b64encode(digest).decode()}"
    found = {"webhook-id": "msg_1", "webhook-timestamp": when, "webhook-signature": signature}
    return {**found, **{f"webhook-{name}": value for name, value in changes.items()}}


def github(body: bytes = BODY, secret: bytes = SECRET) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"}


def basic(pair: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


RIGHT = [
    pytest.param(BEARER, {"authorization": f"Bearer {SECRET.decode()}"}, (SECRET,), id="bearer"),
    pytest.param(BEARER, {"authorization": f"bearer  {OLD.decode()}"}, (OLD, SECRET), id="bearer-the-other-one"),
    pytest.param(BEARER, {"authorization": "Bearer \xc3\xa9\xc3\xa9"}, ("éé".encode(),), id="bearer-beyond-ascii"),
    pytest.param(AUTHORIZATION, {"authorization": SECRET.decode()}, (SECRET,), id="verbatim"),
    pytest.param(AUTHORIZATION, {"authorization": f"Bearer {SECRET.decode()}"}, (SECRET,), id="verbatim-or-bearer"),
    pytest.param(BASIC, basic(b"anyone:" + SECRET), (SECRET,), id="basic"),
    pytest.param(BASIC, basic(b"u:" + b"with:colon" * 2), (b"with:colon" * 2,), id="basic-with-colons"),
    pytest.param(token_header("x-gitlab-token"), {"x-gitlab-token": SECRET.decode()}, (SECRET,), id="token"),
    pytest.param(GITHUB, github(), (OLD, SECRET), id="github"),
    pytest.param(STANDARD_WEBHOOKS, standard(), (SIGNING,), id="standard"),
    pytest.param(STANDARD_WEBHOOKS, standard(key=SECRET), (SECRET,), id="standard-raw-key"),
    pytest.param(STANDARD_WEBHOOKS, standard(before="v1,AAAA v1a,x "), (SIGNING,), id="standard-several"),
    pytest.param(STANDARD_WEBHOOKS, standard(at=NOW - timedelta(minutes=5)), (SIGNING,), id="standard-just-in-time"),
    pytest.param(GITLAB, {"x-gitlab-token": SECRET.decode()}, (SECRET,), id="either-the-first"),
    pytest.param(GITLAB, standard(), (SIGNING,), id="either-the-second"),
    pytest.param(CLIENT_CERTIFICATE, {PEER: "falco\nspiffe://a/b"}, (b"cn:spiffe://a/b",), id="certificate"),
    pytest.param(either(BEARER, CLIENT_CERTIFICATE), {PEER: "falco"}, (SECRET, b"cn:falco"), id="either-certificate"),
]  # fmt: skip

WRONG = [
    pytest.param(BEARER, {}, (SECRET,), id="nothing"),
    pytest.param(BEARER, {"authorization": "Bearer"}, (b"",), id="empty-secret"),
    pytest.param(BEARER, {"authorization": SECRET.decode()}, (SECRET,), id="no-scheme"),
    pytest.param(BEARER, {"authorization": f"Bearer {SECRET.decode()}{REPEATED}x"}, (SECRET,), id="repeated"),
    pytest.param(BEARER, {"authorization": "Bearer \u0141\ud800"}, (SECRET,), id="not-even-latin"),
    pytest.param(BASIC, {"authorization": "Basic ***"}, (SECRET,), id="basic-no-base64"),
    pytest.param(BASIC, {"authorization": "Basic é"}, (SECRET,), id="basic-beyond-ascii"),
    pytest.param(BASIC, basic(SECRET), (SECRET,), id="basic-without-a-user"),
    pytest.param(GITHUB, github(b"other"), (SECRET,), id="github-other-body"),
    pytest.param(GITHUB, github(), (OLD,), id="github-other-secret"),
    pytest.param(GITHUB, github(), (), id="github-no-secret"),
    pytest.param(GITHUB, {"x-hub-signature": "sha1=0"}, (SECRET,), id="github-old-header"),
    pytest.param(GITHUB, {"x-hub-signature-256": "sha256=é"}, (SECRET,), id="github-odd"),
    pytest.param(GITHUB, github(secret=b""), (), id="github-empty-key"),
    pytest.param(STANDARD_WEBHOOKS, standard(b"other"), (SIGNING,), id="standard-other-body"),
    pytest.param(STANDARD_WEBHOOKS, standard(id="msg_2"), (SIGNING,), id="standard-other-id"),
    pytest.param(STANDARD_WEBHOOKS, standard(id=""), (SIGNING,), id="standard-no-id"),
    pytest.param(STANDARD_WEBHOOKS, standard(timestamp="soon"), (SIGNING,), id="standard-no-number"),
    pytest.param(STANDARD_WEBHOOKS, standard(timestamp="9" * 5000), (SIGNING,), id="standard-huge-number"),
    pytest.param(STANDARD_WEBHOOKS, standard(timestamp="\xb2"), (SIGNING,), id="standard-superscript"),
    pytest.param(STANDARD_WEBHOOKS, standard(at=NOW - timedelta(minutes=5, seconds=1)), (SIGNING,), id="standard-old"),
    pytest.param(STANDARD_WEBHOOKS, standard(at=NOW + timedelta(seconds=302)), (SIGNING,), id="standard-ahead"),
    pytest.param(STANDARD_WEBHOOKS, standard(signature="v1,"), (SIGNING,), id="standard-empty"),
    pytest.param(STANDARD_WEBHOOKS, standard(before="x\n"), (SIGNING,), id="standard-repeated"),
    pytest.param(STANDARD_WEBHOOKS, standard(before="v1,A " * 10), (SIGNING,), id="standard-too-many"),
    pytest.param(STANDARD_WEBHOOKS, standard(key=b""), (b"whsec_",), id="standard-empty-key"),
    pytest.param(STANDARD_WEBHOOKS, standard(key=b""), (b"whsec_!",), id="standard-broken-key"),
    pytest.param(GITLAB, standard(at=NOW - timedelta(hours=1)), (SIGNING,), id="either-old"),
    pytest.param(CLIENT_CERTIFICATE, {}, (b"cn:falco",), id="no-certificate"),
    pytest.param(CLIENT_CERTIFICATE, {PEER: "falco-2"}, (b"cn:falco",), id="certificate-of-another"),
    pytest.param(CLIENT_CERTIFICATE, {PEER: "FALCO"}, (b"cn:falco",), id="certificate-in-capitals"),
    pytest.param(CLIENT_CERTIFICATE, {PEER: SECRET.decode()}, (SECRET,), id="a-secret-is-no-name"),
    pytest.param(BEARER, {"authorization": "Bearer cn:falco"}, (b"cn:falco",), id="a-name-is-no-token"),
    pytest.param(GITHUB, github(secret=b"cn:falco"), (b"cn:falco",), id="a-name-is-no-key"),
    pytest.param(either(BEARER, CLIENT_CERTIFICATE), {"authorization": "Bearer cn:f"}, (b"cn:f",), id="nor-by-either"),
]  # fmt: skip


@pytest.mark.parametrize(("proof", "headers", "secrets"), RIGHT)
def test_who_knows_a_secret_is_let_in(proof: Proof, headers: dict[str, str], secrets: tuple[bytes, ...]) -> None:
    """By each of the ways that senders have."""
    assert proof.holds(headers, BODY, secrets, NOW)


@pytest.mark.parametrize(("proof", "headers", "secrets"), WRONG)
def test_nobody_else_is(proof: Proof, headers: dict[str, str], secrets: tuple[bytes, ...]) -> None:
    """And nothing raises: an answer of 500 would say that something was nearly right."""
    assert not proof.holds(headers, BODY, secrets, NOW)


def test_the_published_example_of_github_holds() -> None:
    """docs.github.com, 'Validating webhook deliveries'."""
    digits = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={digits}"}
    assert GITHUB.holds(headers, b"Hello, World!", [b"It's a Secret to Everybody"], NOW)


PROVING = [
    "authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x-gitlab-token", "x-hub-signature-256",
    "x-signature", "x-grafana-alerting-signature", PEER,
]  # fmt: skip


@pytest.mark.parametrize("proof", [source.proof for source in SOURCES.values()], ids=list(SOURCES))
@given(headers=st.dictionaries(st.sampled_from(PROVING), st.text(max_size=60)), body=st.binary(max_size=20))
def test_whatever_is_sent_without_a_secret_proves_nothing(proof: Proof, headers: dict[str, str], body: bytes) -> None:
    """Of no source, whatever its proof is, and it never raises."""
    assert not proof.holds(headers, body, (SECRET, b"cn:a name that is not sent", SIGNING), NOW)
    assert not proof.holds(headers, body, (), NOW)


def test_a_proof_that_may_need_the_body_waits_for_it() -> None:
    """Otherwise a signature would be checked over nothing."""
    assert (GITLAB.needs_body, either(BEARER, BASIC).needs_body) == (True, False)


def test_a_header_is_the_bytes_that_came() -> None:
    """HTTP's octets stand as Latin-1 characters in the framework's text."""
    assert sent({"a": " \xc3\xa9 "}, "a") == "é".encode()
