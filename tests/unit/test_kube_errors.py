"""An API server's answers become the few errors that callers tell apart."""

from typing import Any

import pytest

from services.kube.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unavailable,
    api_error,
)  # fmt: skip
from services.runtime.errors import Temporary


def status(message: str, reason: str = "") -> dict[str, Any]:
    return {"kind": "Status", "message": message, "reason": reason}


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        pytest.param(400, status("bad"), Invalid, id="400"),
        pytest.param(401, status("Unauthorized"), Forbidden, id="401"),
        pytest.param(403, status('x is forbidden: User "u" cannot list'), Forbidden, id="403-rights"),
        pytest.param(403, "<html>proxy</html>", Forbidden, id="403-proxy"),
        pytest.param(403, status('admission webhook "w" denied the request: no'), Invalid, id="403-webhook"),
        pytest.param(403, status("pods x is forbidden: exceeded quota: q"), Invalid, id="403-quota"),
        pytest.param(403, status("x is forbidden: because it is being terminated"), Invalid, id="403-namespace-ends"),
        pytest.param(404, status("none"), NotFound, id="404"),
        pytest.param(409, status("again"), Conflict, id="409"),
        pytest.param(410, status("old"), Gone, id="410"),
        pytest.param(422, status("no"), Invalid, id="422"),
        pytest.param(429, status("slow"), TooManyRequests, id="429"),
        pytest.param(500, status(".spec.x: unknown field"), Invalid, id="500-unknown-field"),
        pytest.param(500, status(".dat: field not declared in schema"), Invalid, id="500-undeclared-field"),
        pytest.param(500, status("failed to convert new object: illegal base64 data"), Invalid, id="500-decoding"),
        pytest.param(500, status('failed calling webhook "w": refused'), Invalid, id="500-webhook"),
        pytest.param(500, status("etcd"), Unavailable, id="500"),
        pytest.param(503, "", Unavailable, id="503"),
        pytest.param(504, status("Timeout"), Unavailable, id="504"),
    ],
)
def test_each_answer_has_its_class(code: int, body: Any, expected: type[Exception]) -> None:
    """Missing rights, a refused object and a server that is away are three different things."""
    error = api_error(code, body, {})
    assert type(error) is expected
    assert str(error)


def test_the_servers_pace_is_kept() -> None:
    """In seconds; a date or nonsense is none."""
    assert api_error(429, {}, {"Retry-After": "7"}).retry_after == 7  # type: ignore[attr-defined]
    assert api_error(503, {}, {"Retry-After": "Wed, 21 Oct"}).retry_after is None  # type: ignore[attr-defined]


def test_who_is_away_may_be_asked_again() -> None:
    """Callers that know nothing of Kubernetes still see that it is temporary."""
    assert isinstance(api_error(503, {}, {}), Temporary)
    assert not isinstance(api_error(403, "no", {}), Temporary)


@pytest.mark.parametrize(
    ("message", "immutable"),
    [
        ("spec.selector: Invalid value: field is immutable", True),
        ("updates to statefulset spec for fields other than 'replicas' are forbidden", True),
        ("spec.replicas: must be greater than 0", False),
    ],
)
def test_immutable_fields_are_recognised(message: str, immutable: bool) -> None:
    """By the server's words, which is all there is."""
    assert Invalid(message, 422).immutable is immutable
