"""What an API server answers when it does not do what was asked, one class an answer that callers tell apart.

    ApiError(SetpointError)
    ├── Forbidden, NotFound, Conflict, Gone     403, 404, 409, 410
    ├── Invalid(.immutable)                     400, 422, the 403 of admission, the 500 of unknown fields and webhooks
    └── Unavailable(Temporary)                  no answer, or 5xx
        ├── TooManyRequests                     429, with the server's own Retry-After
        └── TimedOut                            no answer in time: it may have happened all the same

`reason` is the server's own word (`status.reason`). A message can quote values of the object it is about: for Secrets
`services/kube/cluster.py` cuts it down to field names before it is raised.
"""

from collections.abc import Mapping
from typing import Any

from services.runtime.errors import SetpointError, Temporary

IMMUTABLE = ("field is immutable", "updates to statefulset spec for fields other than", "is immutable")
# What the server says with 500 where the object is what it does not like.
ABOUT_THE_OBJECT = (
    "unknown field", "not declared in schema", "duplicate", "failed to convert", "failed to create typed",
    "failed calling webhook",
)  # fmt: skip
RIGHTS = 'User "'  # every authorizer's refusal names the user, admission's never does


class ApiError(SetpointError):
    """An answer that is no success. `status` is the HTTP code, 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.reason = message, status, reason


class Forbidden(ApiError):
    """The token may not. The message names user, verb, resource and namespace."""


class NotFound(ApiError):
    """No such object, or no such kind."""


class Conflict(ApiError):
    """Somebody else wrote meanwhile, or it exists already."""


class Gone(ApiError):
    """A resourceVersion or a continue token is too old: list again."""


class Invalid(ApiError):
    """The object was refused by validation, admission (quota, policy, a namespace that ends) or a webhook."""

    @property
    def immutable(self) -> bool:
        """True where a field may not change once it is set."""
        text = self.message.lower()
        return any(part in text for part in IMMUTABLE)


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
    if status == 403 and document.get("kind") == "Status" and RIGHTS not in message:
        return Invalid(message, status, reason)
    if status in BY_STATUS:
        return BY_STATUS[status](message, status, reason)
    return Unavailable(message, status, reason, _seconds(headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None
