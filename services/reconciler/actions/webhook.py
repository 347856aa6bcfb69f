"""POST a JSON document, signed by the Standard Webhooks rules (standardwebhooks.com, v1 symmetric signatures).

At least once: after a crash between the request and its record it is sent again, with the same `webhook-id`, which is
the action's id, and a receiver that keeps those ids does nothing twice. The url is the policy's, never an event's.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from schemas.actions import Webhook as Parameters
from schemas.base import rfc3339
from schemas.events import FieldChange, Reason
from services.kube.api.errors import Invalid, Unavailable
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.guards.base import Denial

PREFIX = b"whsec_"
TYPE = "dev.setpoint.webhook.v1"
OURS = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length", "host")
MAY_WORK_LATER = frozenset({408, 425, 429})


class Webhook(Operation[Parameters]):
    """The action `webhook`."""

    name = "webhook"
    example = 'webhook: {url: "https://hooks.example.org/on-call", secret: on-call, body: {pod: "${event.pod}"}}'

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return ()

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        parameters = scene.parameters
        words = f"POST to {shown(parameters.url)}"
        odd = sorted(name for name in parameters.headers if name.lower() in OURS)
        if odd:
            return Plan(None, words, denial=Denial(Reason.PARAMETERS, f"headers may not set {', '.join(odd)}"))
        if parameters.secret and scene.outside.secret(parameters.secret) is None:
            return Plan(None, words, denial=no_secret(parameters.secret))
        body = FieldChange(path="/body", kind="removed", desired=parameters.body or about(scene), live=None)
        return Plan(None, words, (body,))

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        parameters = scene.parameters
        body = orjson.dumps(parameters.body or {**about(scene), "timestamp": rfc3339(scene.clock.now())}, default=str)
        headers = {**parameters.headers, "content-type": "application/json", **_signed(scene, body)}
        timeout = parameters.timeout.total_seconds()
        status, _ = await scene.outside.post(parameters.url, body, headers, timeout=timeout)
        accepted(status, shown(parameters.url))
        return Applied(words=f"answered {status}")


def about(scene: Scene[Any]) -> dict[str, Any]:
    """What is sent where the policy names no body: the shape that Standard Webhooks recommends."""
    alert = scene.alert
    data = {
        "policy": scene.policy, "alert": alert.name, "alertId": alert.alert_id, "severity": str(alert.severity),
        "target": alert.target.subject, "source": alert.source, "summary": alert.summary, "labels": alert.labels,
        "onset": rfc3339(alert.onset), "url": alert.url,
    }  # fmt: skip
    return {"type": TYPE, "data": data}


def signature(secret: bytes, webhook_id: str, seconds: int, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC-SHA256 over id, Unix time and body. A `whsec_…` secret is base64, any other raw.

    Raises Invalid for a `whsec_` that is no base64.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else secret
    except binascii.Error:
        raise Invalid("the webhook's secret begins with whsec_ and is no base64", 0, "secret") from None
    covered = f"{webhook_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, covered, hashlib.sha256).digest()).decode()


def accepted(status: int, where: str) -> None:
    """Nothing for 2xx. Raises Unavailable where it may work later, Invalid where it would not."""
    if 200 <= status < 300:
        return
    if status >= 500 or status in MAY_WORK_LATER:
        raise Unavailable(f"{where} answered {status}", status)
    what = "with a redirect, which is not followed" if 300 <= status < 400 else str(status)
    raise Invalid(f"{where} answered {what}", 0, "refused")


def shown(url: str) -> str:
    """A url as people may see it: without user, query and fragment, which may hold secrets."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def no_secret(name: str) -> Denial:
    """The operator has not put it there."""
    return Denial(Reason.PARAMETERS, f"there is no secret {name!r} in the folder that SETPOINT_ACTION_SECRETS names")


def _signed(scene: Scene[Parameters], body: bytes) -> dict[str, str]:
    now: datetime = scene.clock.now()
    seconds = int(now.timestamp())
    headers = {"webhook-id": scene.action_id, "webhook-timestamp": str(seconds)}
    secret = scene.outside.secret(scene.parameters.secret) if scene.parameters.secret else None
    if scene.parameters.secret and secret is None:
        raise Invalid(no_secret(scene.parameters.secret).message, 0, "secret")
    return {**headers, "webhook-signature": signature(secret, scene.action_id, seconds, body)} if secret else headers
