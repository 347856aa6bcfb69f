"""Whether a workload runs as it should, by its own controller's word in `status`. Other kinds run when they exist."""

from typing import Any

from services.kube.objects import Object, group_of


def unavailable(live: Object) -> str | None:
    """What is missing, in words; None where everything is there."""
    kind = str(live.get("kind"))
    if group_of(live) != "apps" or kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return None
    status, spec = _part(live, "status"), _part(live, "spec")
    generation = _part(live, "metadata").get("generation") or 0
    if (status.get("observedGeneration") or 0) < generation:
        return "its controller has not seen it yet"
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled") or 0
        updated, ready = status.get("updatedNumberScheduled") or 0, status.get("numberAvailable") or 0
    else:
        wanted = 1 if spec.get("replicas") is None else spec["replicas"]
        updated, ready = status.get("updatedReplicas") or 0, status.get("availableReplicas") or 0
    if _part(spec, "updateStrategy").get("type") == "OnDelete":
        updated = wanted
    if updated < wanted:
        return f"{updated} of {wanted} replicas updated"
    return f"{ready} of {wanted} replicas available" if ready < wanted else None


def _part(value: dict[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}
