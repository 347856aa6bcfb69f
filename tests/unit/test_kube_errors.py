"""An API server's answers become the few errors that callers tell apart."""

from typing import Any

import pytest

from schemas.events import Reason
from services.kube.api.errors import (
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


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        pytest.param(403, "pods x is forbidden: exceeded quota: q, requested: pods=1", Reason.QUOTA, id="quota"),
        pytest.param(403, "pods x is forbidden: failed quota: q: must specify cpu", Reason.QUOTA, id="quota-wants"),
        pytest.param(403, "pods x is forbidden: violates PodSecurity", Reason.ADMISSION_DENIED, id="pod-security"),
        pytest.param(403, "x is forbidden: maximum cpu usage per Pod is 1", Reason.ADMISSION_DENIED, id="limit-range"),
        pytest.param(422, "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: is immutable",
                     Reason.ADMISSION_DENIED, id="policy-in-its-own-words"),
        pytest.param(400, 'admission webhook "w" denied the request: field is immutable', Reason.WEBHOOK_REFUSED,
                     id="webhook-in-its-own-words"),
        pytest.param(500, 'failed calling webhook "w": connection refused', Reason.WEBHOOK_FAILED, id="webhook-away"),
        pytest.param(403, "x is forbidden: because it is being terminated", Reason.TERMINATING, id="ends"),
        pytest.param(500, ".spec.x: field not declared in schema", Reason.UNKNOWN_FIELD, id="unknown-field"),
        pytest.param(422, "spec.selector: Invalid value: field is immutable", Reason.IMMUTABLE, id="immutable"),
        pytest.param(422, "spec.replicas: must be greater than 0", Reason.INVALID, id="invalid"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_cause(code: int, message: str, cause: Reason) -> None:
    """Whoever quotes others' words is told by its own."""
    error = api_error(code, status(message), {})
    assert isinstance(error, Invalid)
    assert error.cause is cause


def test_a_patch_that_does_not_fit_is_a_conflict() -> None:
    """The server says no more than this of a `test` that failed, and of a path that is gone."""
    assert isinstance(
        api_error(422, status("the server rejected our request due to an error in our request"), {}), Conflict
    )


def test_a_patch_for_an_object_that_is_gone_is_a_conflict() -> None:
    """A uid cannot change, so the server calls that invalid; meant is that another object has the name by now."""
    message = 'Deployment.apps "web" is invalid: metadata.uid: Invalid value: "1": field is immutable'
    assert isinstance(api_error(422, status(message), {}), Conflict)


@pytest.mark.parametrize(
    ("message", "reason", "gone"),
    [
        ("Disk.example.org is not served by this cluster", "not-served", True),
        ("the server could not find the requested resource", "NotFound", True),
        ('namespaces "nowhere" not found', "NotFound", False),
    ],
)
def test_a_missing_kind_is_no_missing_namespace(message: str, reason: str, gone: bool) -> None:
    """The one comes with a definition, the other must be made."""
    assert NotFound(message, 404, reason).kind_is_gone is gone
