"""Whether a workload runs as it should, by its own controller's word in `status`. Other kinds run when they exist.

A Deployment's old replicas count as available as long as they run, so that the numbers of new and of available ones
alone would call a roll-out done whose new pods never start: none of the old ones may be left (as `kubectl rollout
status` has it). What a StatefulSet's `partition` or `OnDelete` keeps back is not waited for.
"""

from typing import Any, NamedTuple

from services.kube.objects import Object, group_of


class Counts(NamedTuple):
    """Replicas by the controller's reckoning. `due` are those that it updates by itself, `old` those still to go."""

    wanted: int
    due: int
    updated: int
    available: int
    old: int = 0


def unavailable(live: Object) -> str | None:
    """What is missing, in words; None where everything is there."""
    kind = str(live.get("kind"))
    if group_of(live) != "apps" or kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return None
    generation = _part(live, "metadata").get("generation") or 0
    if _number(live, "observedGeneration") < generation:
        return "its controller has not seen it yet"
    counts = _of_daemons(live) if kind == "DaemonSet" else _of_replicas(live)
    if counts.updated < counts.due:
        return f"{counts.updated} of {counts.due} replicas updated"
    if counts.old > 0:
        return f"{counts.old} old replica{'' if counts.old == 1 else 's'} still there"
    ready, wanted = counts.available, counts.wanted
    return f"{ready} of {wanted} replicas available" if ready < wanted else None


def _of_daemons(live: Object) -> Counts:
    wanted, available = _number(live, "desiredNumberScheduled"), _number(live, "numberAvailable")
    return Counts(wanted, _due(live, wanted), _number(live, "updatedNumberScheduled"), available)


def _of_replicas(live: Object) -> Counts:
    replicas = _part(live, "spec").get("replicas")
    wanted, updated = 1 if replicas is None else int(replicas), _number(live, "updatedReplicas")
    old = _number(live, "replicas") - updated if live.get("kind") == "Deployment" else 0
    return Counts(wanted, _due(live, wanted), updated, _number(live, "availableReplicas"), old)


def _due(live: Object, wanted: int) -> int:
    strategy = _part(_part(live, "spec"), "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return 0
    return max(0, wanted - int(_part(strategy, "rollingUpdate").get("partition") or 0))


def _number(live: Object, name: str) -> int:
    return int(_part(live, "status").get(name) or 0)


def _part(value: dict[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}
