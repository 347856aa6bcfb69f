"""Whether an application of Argo CD or Flux is suspended or failing, by what its own controller writes into it.

Pure: a live object in, a reason and words out. Setpoint never acts on these; the tool that owns them has to.
Sources: argo-cd pkg/apis/application/v1alpha1/types.go; Flux' conditions follow kstatus (fluxcd/pkg/apis/meta).
"""

from typing import Any, NamedTuple

from schemas.events import FindingReason
from services.kube.objects import Object, group_of, metadata_of

ARGO_CD = "argoproj.io"
SKIP = "argocd.argoproj.io/skip-reconcile"
UNHEALTHY = ("Degraded", "Missing")
ENDED_BADLY = ("Failed", "Error")
LONGEST = 400  # characters of a controller's own words


class Trouble(NamedTuple):
    """What is wrong with an application, in its controller's words."""

    reason: FindingReason
    message: str


def trouble_of(live: Object) -> Trouble | None:
    """What is wrong; None while the application is followed and well, or on its way there."""
    return _argo_cd(live) if group_of(live) == ARGO_CD else _flux(live)


def _argo_cd(live: Object) -> Trouble | None:
    status, operation = _map(live.get("status")), _map(_map(live.get("status")).get("operationState"))
    automated = _map(_map(live.get("spec")).get("syncPolicy")).get("automated")
    if _map(metadata_of(live).get("annotations")).get(SKIP) == "true":
        return Trouble(FindingReason.SUSPENDED, f"annotation {SKIP} is set")
    if _map(automated).get("enabled") is False:
        return Trouble(FindingReason.SUSPENDED, "spec.syncPolicy.automated.enabled is false")
    errors = [found for found in _list(status.get("conditions")) if str(found.get("type")).endswith("Error")]
    if errors:
        return _failing(str(errors[0].get("type")), errors[0].get("message"))
    if operation.get("phase") in ENDED_BADLY:
        return _failing(f"the last sync ended as {operation['phase']}", operation.get("message"))
    health = _map(status.get("health"))
    if health.get("status") in UNHEALTHY:
        return _failing(f"health is {health['status']}", health.get("message"))
    busy = live.get("operation") or operation.get("phase") in ("Running", "Terminating")
    if _map(status.get("sync")).get("status") == "OutOfSync" and isinstance(automated, dict) and not busy:
        return _failing("is OutOfSync though it syncs by itself", None)
    return None


def _flux(live: Object) -> Trouble | None:
    if _map(live.get("spec")).get("suspend") is True:
        return Trouble(FindingReason.SUSPENDED, "spec.suspend is true")
    for kind, bad in (("Stalled", "True"), ("Ready", "False")):
        for found in _list(_map(live.get("status")).get("conditions")):
            if found.get("type") == kind and found.get("status") == bad:
                return _failing(f"{kind}={bad}, {found.get('reason') or 'without a reason'}", found.get("message"))
    return None


def _failing(what: str, words: Any) -> Trouble:
    text = " ".join(words.split()) if isinstance(words, str) else ""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return Trouble(FindingReason.FAILING, f"{what}: {short}" if short else what)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
