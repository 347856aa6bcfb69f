"""Make a silence in Alertmanager for exactly one alert's labels, and end it again.

The action's id stands in the silence's comment: a second run and an undo find it there. A crash between Alertmanager's
answer and its being asked again by its other replica could still make two, which does nothing twice: both silence the
same alert until the same time. A silence ends by itself. Source: Alertmanager's API v2 (api/v2/openapi.yaml).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from schemas.actions import Silence as Parameters
from schemas.base import format_duration, rfc3339
from schemas.events import FieldChange, Reason
from services.kube.api.errors import Invalid
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.webhook import accepted, no_secret, shown
from services.reconciler.guards.base import Denial

BY = "setpoint"
JSON = {"content-type": "application/json"}
GONE = 404


class Silence(Operation[Parameters]):
    """The action `silence`."""

    name = "silence"
    example = 'silence: {url: "http://alertmanager.monitoring:9093", for: 2h, labels: [alertname, namespace]}'
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return ()

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        parameters = scene.parameters
        matching = matched(parameters.labels, scene.alert.labels)
        words = f"silence {scene.alert.name} for {format_duration(parameters.lasts)} at {shown(parameters.url)}"
        missing = [name for name in parameters.labels if name not in matching]
        if missing or not matching:
            what = f"has no label {', '.join(missing)}" if missing else "has no labels"
            return Plan(None, words, denial=Denial(Reason.PARAMETERS, f"the alert {what}"))
        if parameters.secret and scene.outside.secret(parameters.secret) is None:
            return Plan(None, words, denial=no_secret(parameters.secret))
        before = {"action": scene.action_id, "matching": matching}
        found = await _find(scene, scene.action_id, matching)
        if found:
            return Plan(None, words, so=True, ours=True, before=before)
        change = FieldChange(path="/matchers", kind="removed", desired=_matchers(matching), live=None)
        return Plan(None, words, (change,), before=before, state=matching)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so:
            return Applied()
        now, where = scene.clock.now(), shown(scene.parameters.url)
        body = {
            "matchers": _matchers(plan.state), "startsAt": rfc3339(now),
            "endsAt": rfc3339(now + scene.parameters.lasts), "createdBy": BY,
            "comment": f"{scene.policy}: {scene.alert.name} (action {scene.action_id})",
        }  # fmt: skip
        headers = {**JSON, **_bearer(scene)}
        url = _url(scene, "/silences")
        status, answer = await scene.outside.post(url, orjson.dumps(body), headers, timeout=_timeout(scene))
        accepted(status, where)
        made = _read(answer, where)
        return Applied(words=f"silence {made.get('silenceID')}" if isinstance(made, dict) else "")

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await _find(scene, scene.action_id, plan.before["matching"])
        return None if found else "somebody has ended the silence"

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if "matching" not in before:
            return None
        for silence in await _find(scene, before["action"], before["matching"]):
            url = _url(scene, f"/silence/{silence['id']}")
            status, _ = await scene.outside.delete(url, _bearer(scene), timeout=_timeout(scene))
            if status != GONE:
                accepted(status, shown(scene.parameters.url))
        return None


def matched(wanted: tuple[str, ...], labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that the silence matches by: the wanted ones, or all; never an empty value, which means "absent"."""
    return {name: value for name, value in sorted(labels.items()) if value and (not wanted or name in wanted)}


def _matchers(matching: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matching.items()]


async def _find(scene: Scene[Parameters], action_id: str, matching: Mapping[str, str]) -> list[dict[str, Any]]:
    """The silences that this action has made and that have not ended."""
    filters = [("filter", f"{name}={orjson.dumps(value).decode()}") for name, value in matching.items()]
    where = shown(scene.parameters.url)
    url = f"{_url(scene, '/silences')}?{urlencode(filters)}"
    status, answer = await scene.outside.get(url, _bearer(scene), timeout=_timeout(scene))
    accepted(status, where)
    found = _read(answer, where)
    return [one for one in found if _is_ours(one, action_id)] if isinstance(found, list) else []


def _is_ours(silence: Any, action_id: str) -> bool:
    if not isinstance(silence, dict) or silence.get("createdBy") != BY:
        return False
    state = (silence.get("status") or {}).get("state")
    return state != "expired" and f"(action {action_id})" in str(silence.get("comment"))


def _read(answer: bytes, where: str) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise Invalid(f"what {where} answered is not Alertmanager's JSON, or too long", 0, "answer") from None


def _url(scene: Scene[Parameters], path: str) -> str:
    return scene.parameters.url.rstrip("/") + "/api/v2" + path


def _timeout(scene: Scene[Parameters]) -> float:
    return scene.parameters.timeout.total_seconds()


def _bearer(scene: Scene[Parameters]) -> dict[str, str]:
    if not scene.parameters.secret:
        return {}
    token = scene.outside.secret(scene.parameters.secret)
    if token is None:
        raise Invalid(no_secret(scene.parameters.secret).message, 0, "secret")
    return {"authorization": f"Bearer {token.decode('utf-8', 'replace')}"}
