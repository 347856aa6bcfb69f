"""Objects in trouble, as an API server sends them, for the tests of the watcher of troubles."""

from datetime import datetime, timedelta
from typing import Any

from services.kube.objects import Object
from tests.fakes import NOON

POD_UID = "11111111-1111-1111-1111-111111111111"
SET_UID = "22222222-2222-2222-2222-222222222222"


def ago(minutes: float) -> str:
    """That long before noon."""
    return stamp(NOON - timedelta(minutes=minutes))


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(status: dict[str, Any] | None = None, name: str = "api-7d4-x", **metadata: Any) -> Object:
    """A pod of a ReplicaSet, made an hour ago."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-7d4", "uid": SET_UID, "controller": True}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "payments", "uid": POD_UID, "creationTimestamp": ago(60),
            "labels": {"app": "api", "pod-template-hash": "7d4"}, "ownerReferences": [owner], **metadata,
        },
        "spec": {
            "initContainers": [{"name": "prepare"}],
            "containers": [{"name": "api", "resources": {"limits": {"memory": "64Mi"}}}],
        },
        "status": {"phase": "Running", "startTime": ago(59), **(status or {})},
    }  # fmt: skip


def container(name: str = "api", **state: Any) -> dict[str, Any]:
    return {"name": name, "image": "example.org/api:1", "ready": False, "restartCount": 0, "state": {}, **state}


def crashing(restarts: int = 4, ended: str | None = None) -> dict[str, Any]:
    """The status of a pod whose container waits for its next start."""
    last = {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": ended or ago(3)}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"containerStatuses": [container(state=waiting, lastState=last, restartCount=restarts)]}


def running(restarts: int = 4) -> dict[str, Any]:
    """The status of a pod that is well."""
    state = {"running": {"startedAt": ago(1)}}
    return {"containerStatuses": [container(state=state, ready=True, started=True, restartCount=restarts)]}


def condition(kind: str, status: str, minutes: float = 10, **more: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": ago(minutes), **more}


def thing(api_version: str, kind: str, name: str, namespace: str = "payments", **parts: Any) -> Object:
    """Any other object; `metadata` is added to what it has."""
    more = parts.pop("metadata", {})
    metadata = {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": ago(60), **more}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def warning(reason: str, message: str, about: Object, *, first: float = 5, last: float = 1, count: int = 3) -> Object:
    """An Event, as controllers and the kubelet make them."""
    metadata = about["metadata"]
    involved = {
        "apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"], "uid": metadata["uid"],
        "namespace": metadata.get("namespace", ""),
    }  # fmt: skip
    return thing(
        "v1", "Event", f"{metadata['name']}.1", involvedObject=involved, reason=reason, message=message, type="Warning",
        count=count, firstTimestamp=ago(first), lastTimestamp=ago(last),
    )  # fmt: skip
