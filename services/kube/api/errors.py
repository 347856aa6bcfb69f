"""What an API server answers when it does not do what was asked, one class an answer that callers tell apart.

    ApiError(SetpointError)
    ├── Forbidden, NotFound, Conflict, Gone     403, 404, 409, 410
    ├── Invalid(.cause)                         400, 422, the 403 of admission, the 500 of unknown fields and webhooks
    └── Unavailable(Temporary)                  no answer, or 5xx
        ├── TooManyRequests                     429, with the server's own Retry-After
        └── TimedOut                            no answer in time: it may have happened all the same

`reason` is the server's own word (`status.reason`). A message can quote values of the object it is about: for Secrets
`services/kube/api/cluster.py` cuts it down to field names before it is raised.
"""

from collections.abc import Mapping
from typing import Any

from schemas.events import FindingReason, Reason
from services.runtime.errors import SetpointError, Temporary

IMMUTABLE = (
    "is immutable", "updates to statefulset spec for fields other than", "may not change fields other than",
    "updates to parameters are forbidden", "updates to provisioner are forbidden", "cannot change roleref",
    "may not be changed in an update", "can not be less than", "may not change once set", "cannot be changed",
)  # fmt: skip
UNKNOWN_FIELD = ("unknown field", "not declared in schema")
NO_DRY_RUN = ("does not support dry run", "failed calling webhook", "admission webhook")
TERMINATING = ("because it is being terminated", "object is being deleted")
# What the server says with 500 where the object is what it does not like.
ABOUT_THE_OBJECT = (
    "unknown field", "not declared in schema", "duplicate", "failed to convert", "failed to create typed",
    "failed calling webhook",
)  # fmt: skip
# In this order: a webhook's own words may hold any of the later ones.
CAUSES: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    (Reason.WEBHOOK_FAILED, ("failed calling webhook", "failed to call webhook")),
    (Reason.WEBHOOK_REFUSED, ("admission webhook",)),
    (Reason.ADMISSION_DENIED, ("validatingadmissionpolicy", "violates podsecurity")),
    (Reason.QUOTA, ("exceeded quota", "failed quota")),
    (Reason.TERMINATING, TERMINATING),
    (Reason.UNKNOWN_FIELD, UNKNOWN_FIELD),
    (Reason.IMMUTABLE, IMMUTABLE),
)
RIGHTS = 'User "'  # every authorizer's refusal names the user, admission's never does
FAILED_PATCH = "the server rejected our request due to an error in our request"  # all that it says of a failed test
ANOTHER_UID = "metadata.uid: Invalid value"  # what it says of a patch that names the uid of an object gone by now
SERVED_NO_MORE = "the server could not find the requested resource"


class ApiError(SetpointError):
    """An answer that is no success. `status` is the HTTP code, 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.reason = message, status, reason


class Forbidden(ApiError):
    """The token may not. The message names user, verb, resource and namespace."""


class NotFound(ApiError):
    """No such object, no such namespace, or no such kind."""

    @property
    def kind_is_gone(self) -> bool:
        """True where the cluster has no such kind in this version."""
        return self.reason == "not-served" or SERVED_NO_MORE in self.message


class Conflict(ApiError):
    """Somebody else wrote meanwhile, it exists already or is another object by now, or a JSON patch met other values
    than it tests for."""


class Gone(ApiError):
    """A resourceVersion or a continue token is too old: list again."""


class Invalid(ApiError):
    """The object was refused by validation, admission (quota, policy, a namespace that ends) or a webhook."""

    @property
    def cause(self) -> Reason:
        """Which refusal it is."""
        found = (reason for reason, words in CAUSES if self._says(words))
        return next(found, Reason.ADMISSION_DENIED if self.status == 403 else Reason.INVALID)

    @property
    def immutable(self) -> bool:
        """True where a field may not change once it is set."""
        return self.cause is Reason.IMMUTABLE

    @property
    def finding(self) -> FindingReason:
        """What it means for a verdict that a dry-run was refused like this."""
        if self._says(NO_DRY_RUN):
            return FindingReason.DRY_RUN_REFUSED
        if self._says(UNKNOWN_FIELD):
            return FindingReason.UNKNOWN_FIELD
        if self._says(TERMINATING):
            return FindingReason.TERMINATING
        return FindingReason.IMMUTABLE if self.immutable else FindingReason.INVALID

    def _says(self, parts: tuple[str, ...]) -> bool:
        text = self.message.lower()
        return any(part in text for part in parts)


class Immutable(Invalid):
    """A refusal that was found to be about a change: the same object may be created."""

    @property
    def cause(self) -> Reason:
        return Reason.IMMUTABLE


class HoldsData(Immutable):
    """Only making the object anew would help, and that would delete data."""

    @property
    def cause(self) -> Reason:
        return Reason.HOLDS_DATA


class Unavailable(ApiError, Temporary):
    """No answer, or one that says nothing about the object. `retry_after` is in seconds, None where not given."""

    def __init__(self, message: str, status: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        ApiError.__init__(self, message, status, reason)
        self.retry_after = retry_after


class TooManyRequests(Unavailable):
    """The server asks for patience."""


class TimedOut(Unavailable):
    """No answer within the time-out; whether it was done is unknown."""


BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}


def api_error(status: int, body: Any, headers: Mapping[str, str]) -> ApiError:
    """The error for an answer: `body` is the parsed Status document, or text where it was none."""
    document = body if isinstance(body, dict) else {}
    reason = str(document.get("reason") or "")
    message = str(document.get("message") or body or f"HTTP {status}").strip()
    if status == 429:
        return TooManyRequests(message, status, reason, _seconds(headers.get("Retry-After")))
    if status == 401:
        return Forbidden(f"the credentials are not accepted: {message}", status, reason)
    if status == 500 and any(part in message for part in ABOUT_THE_OBJECT):
        return Invalid(message, status, reason)
    if status == 422 and message == FAILED_PATCH:
        return Conflict("the object is not what the patch was made for", status, reason)
    if status == 422 and ANOTHER_UID in message:
        return Conflict(message, status, reason)
    if status == 403 and document.get("kind") == "Status" and RIGHTS not in message:
        return Invalid(message, status, reason)
    if status in BY_STATUS:
        return BY_STATUS[status](message, status, reason)
    return Unavailable(message, status, reason, _seconds(headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None
