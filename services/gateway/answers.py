"""How requests end: the words that answers, logs and metrics share, and their HTTP status.

503 is the answer to everything that may be sent again, too many at once among it: Alertmanager and Prometheus drop
what is answered with 429.
"""

from enum import StrEnum


class Answer(StrEnum):
    """How a request ended: the metric's and the log's word."""

    ACCEPTED = "accepted"
    UNAUTHORIZED = "unauthorized"
    UNKNOWN_SOURCE = "unknown-source"
    METHOD = "method"  # not one that this address takes
    TOO_SLOW = "too-slow"  # a head or a body that does not come
    TOO_LARGE = "too-large"
    DISCONNECTED = "disconnected"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"  # a content type or an encoding that this address does not read
    PARTLY = "partly"  # some of it was kept, and the rest never can be
    INVALID = "invalid"  # not HTTP
    RATE = "rate"  # more requests a second than a sender may send
    CONNECTIONS = "connections"  # more open ones than an address may have, or than there may be
    BROKER_AWAY = "broker-away"
    FAILED = "failed"  # a defect of Setpoint's own


STATUS = {
    Answer.ACCEPTED: 202, Answer.UNAUTHORIZED: 401, Answer.UNKNOWN_SOURCE: 404, Answer.METHOD: 405,
    Answer.TOO_SLOW: 408, Answer.TOO_LARGE: 413, Answer.DISCONNECTED: 400, Answer.INVALID: 400,
    Answer.UNREADABLE: 422, Answer.UNSUPPORTED: 415, Answer.PARTLY: 400, Answer.RATE: 503,
    Answer.CONNECTIONS: 503, Answer.BROKER_AWAY: 503, Answer.FAILED: 500,
}  # fmt: skip
RETRY_AFTER_S = 2
UNKNOWN = "?"
"""The source of a request that names none, or one that there is not."""


class Refused(Exception):
    """A request that is not taken; `detail` goes to the sender."""

    def __init__(self, answer: Answer, detail: str = "") -> None:
        super().__init__(detail)
        self.answer, self.detail = answer, detail
