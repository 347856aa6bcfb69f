"""Certificates near their end: only the two times of a certificate are read, of real ones as of nonsense."""

import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.objects import Object
from services.watcher.trouble.certificate import OVER, SOON, TLS
from services.watcher.trouble.kinds import CERTIFICATES, troubles
from services.watcher.trouble.x509 import BEGIN, END, validity
from tests.fakes import NOON
from tests.tls import KEYS, in_base64, made
from tests.troubled import stamp, thing

DAY = timedelta(days=1)


def secret(pem: bytes, **metadata: object) -> Object:
    data = {"tls.crt": in_base64(pem), "tls.key": in_base64(b"the private key")}
    return thing("v1", "Secret", "api-tls", type=TLS, data=data, metadata=metadata)


def certificate(begins: datetime, ends: datetime) -> Object:
    status = {"notBefore": stamp(begins), "notAfter": stamp(ends)}
    return thing("cert-manager.io/v1", "Certificate", "api", status=status)


def names(obj: Object, now: datetime) -> list[str]:
    return [one.alert.name for one in troubles(CERTIFICATES, obj, now) if one.lasts(now)]


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("days", [90, 12_000])
def test_the_times_are_those_of_the_certificate(tmp_path: Path, kind: str, days: int) -> None:
    """Of each kind of key, and in both ways of writing a time (before 2050, and after)."""
    pem, times = made(tmp_path, kind, days=days, subject="/C=DE/O=" + "x" * 60 + "/CN=api.example.org")
    assert validity(in_base64(pem)) == times


def test_of_a_chain_the_servers_own_counts(tmp_path: Path) -> None:
    """It comes first."""
    (own, times), (above, _) = made(tmp_path, days=90), made(tmp_path, days=900)
    assert validity(in_base64(own + above)) == times


@given(st.binary(max_size=300))
def test_nonsense_has_no_end(noise: bytes) -> None:
    """As text, as PEM, as a Secret's value: never a failure."""
    pem = BEGIN + b"\n" + base64.b64encode(noise) + b"\n" + END
    for text in (noise.decode("latin-1"), in_base64(noise), in_base64(pem)):
        assert validity(text) is None or len(noise) > 30


def test_a_torn_certificate_has_no_end(tmp_path: Path) -> None:
    """Cut anywhere before its times."""
    der = base64.b64decode(made(tmp_path)[0].split(b"-----")[2])
    for length in range(60):
        assert validity(in_base64(BEGIN + base64.b64encode(der[:length]) + END)) is None


@pytest.mark.parametrize(
    ("life", "left", "expected"),
    [
        pytest.param(90, 30, [], id="renewal-is-due-and-no-trouble"),
        pytest.param(90, 13, [SOON.name], id="renewal-is-late"),
        pytest.param(365, 13, [SOON.name], id="a-year"),
        pytest.param(4, 2, [], id="short-life"),
        pytest.param(4, 0.9, [SOON.name], id="short-life-last-quarter"),
        pytest.param(90, 0, [OVER.name], id="ends-now"),
        pytest.param(90, -100, [OVER.name], id="long-over"),
    ],
)
def test_near_its_end_and_past_it(life: float, left: float, expected: list[str]) -> None:
    """By how much of its life is left, since issuers renew by that."""
    ends = NOON + left * DAY
    assert names(certificate(ends - life * DAY, ends), NOON) == expected


def test_a_secret_tells_its_end_and_nothing_else(tmp_path: Path) -> None:
    """Neither key nor certificate is in what was found."""
    pem, times = made(tmp_path)
    found = troubles(CERTIFICATES, secret(pem), times.ends - DAY)
    assert [one.alert for one in found if one.lasts(times.ends - DAY)] == [SOON]
    assert [dict(one.values) for one in found] == [{"notAfter": times.ends.isoformat()}] * 2
    assert not any(word in repr(found) for word in ("CERTIFICATE", "tls.", in_base64(pem)[:20]))


def test_a_secret_of_cert_manager_is_about_its_certificate(tmp_path: Path) -> None:
    """So that the two are one alert."""
    annotations = {"cert-manager.io/certificate-name": "api"}
    [about, _] = [one.about for one in troubles(CERTIFICATES, secret(made(tmp_path)[0], annotations=annotations), NOON)]
    assert str(about.key) == "Certificate.cert-manager.io payments/api"
    assert not about.known
