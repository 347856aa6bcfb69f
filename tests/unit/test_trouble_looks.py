"""What each look finds in an object, and what it leaves alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.kube.objects import Object
from services.watcher.trouble.found import Trouble
from services.watcher.trouble.kinds import WATCHED, Kind, troubles
from tests.fakes import NOON
from tests.troubled import ago, condition, container, crashing, pod, running, thing, warning

POD_KIND, EVENT = Kind("", "Pod"), next(kind for kind in WATCHED if kind.kind == "Event")
NODE, JOB, DEPLOYMENT = Kind("", "Node"), Kind("batch", "Job"), Kind("apps", "Deployment")
CLAIM, QUOTA, NAMESPACE = Kind("", "PersistentVolumeClaim"), Kind("", "ResourceQuota"), Kind("", "Namespace")
OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": ago(5)}}
OLD_OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": ago(16)}}
CRASHED, CREATING = ({"waiting": {"reason": reason}} for reason in ("CrashLoopBackOff", "ContainerCreating"))
PULL = {"waiting": {"reason": "ImagePullBackOff"}}
UNSCHEDULABLE = condition("PodScheduled", "False", reason="Unschedulable", message="0/3 nodes are available")
NOT_READY = condition("ContainersReady", "False", 4)
RUNS = {"running": {"startedAt": ago(9)}}
PROVISIONED = {"volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com"}


def node(*conditions: dict[str, Any]) -> Object:
    return thing("v1", "Node", "worker-1", "", status={"conditions": list(conditions)})


def claim(phase: str = "Pending", storage_class: str = "fast", **annotations: str) -> Object:
    spec, metadata = {"storageClassName": storage_class}, {"annotations": annotations}
    return thing("v1", "PersistentVolumeClaim", "data", spec=spec, status={"phase": phase}, metadata=metadata)


def quota(hard: str, used: str) -> Object:
    return thing("v1", "ResourceQuota", "limits", status={"hard": {"pods": hard}, "used": {"pods": used}})


def workload(kind: str, api_version: str, *conditions: dict[str, Any]) -> Object:
    return thing(api_version, kind, "api", status={"conditions": list(conditions)})


def held(state: dict[str, Any], *conditions: dict[str, Any]) -> Object:
    """A pod whose one container is in that state."""
    return pod({"containerStatuses": [state], "conditions": list(conditions)})


def held_up(state: dict[str, Any], *conditions: dict[str, Any]) -> Object:
    """A pod whose first container to run is in that state."""
    return pod({"initContainerStatuses": [state], "conditions": list(conditions)})


def found(kind: Kind, obj: Object, now: datetime = NOON) -> list[Trouble]:
    """What is there at `now`."""
    return [one for one in troubles(WATCHED[kind], obj, now) if one.lasts(now)]


IN_TROUBLE = [
    pytest.param(POD_KIND, pod(crashing()), "KubePodCrashLooping", 3, id="crash-loop"),
    pytest.param(
        POD_KIND,
        held_up(container("prepare", state=CRASHED)),
        "KubePodCrashLooping",
        59,
        id="crash-loop-at-the-first-start",
    ),
    pytest.param(POD_KIND, held(container(state=PULL)), "KubeImagePullFailed", 59, id="image-pull"),
    pytest.param(
        POD_KIND,
        held(container(state=PULL), NOT_READY),
        "KubeImagePullFailed",
        4,
        id="image-pull-of-an-old-pod",
    ),
    pytest.param(POD_KIND, held(container(state=OOM)), "KubeContainerOOMKilled", 5, id="oom-now"),
    pytest.param(
        POD_KIND,
        held(container(state=RUNS, ready=True, lastState=OOM)),
        "KubeContainerOOMKilled",
        5,
        id="oom-before-this-start",
    ),
    pytest.param(POD_KIND, pod({"conditions": [UNSCHEDULABLE]}), "KubePodUnschedulable", 10, id="unschedulable"),
    pytest.param(
        POD_KIND,
        held(container(state=RUNS, started=True), NOT_READY),
        "KubeProbeFailing",
        4,
        id="readiness",
    ),
    pytest.param(
        EVENT, warning("Unhealthy", "Liveness probe failed: HTTP 500", pod()), "KubeProbeFailing", 5, id="liveness"
    ),
    pytest.param(POD_KIND, pod(running(), deletionTimestamp=ago(20)), "KubeStuckTerminating", 20, id="pod-terminating"),
    pytest.param(
        POD_KIND,
        pod(crashing(), deletionTimestamp=ago(20)),
        "KubeStuckTerminating",
        20,
        id="crash-loop-that-should-be-gone",
    ),
    pytest.param(
        NAMESPACE,
        thing("v1", "Namespace", "old", "", metadata={"deletionTimestamp": ago(30)}),
        "KubeStuckTerminating",
        30,
        id="namespace-terminating",
    ),
    pytest.param(NODE, node(condition("Ready", "False")), "KubeNodeNotReady", 10, id="node-not-ready"),
    pytest.param(NODE, node(condition("Ready", "Unknown", 2)), "KubeNodeNotReady", 2, id="node-silent"),
    pytest.param(
        NODE,
        node(condition("Ready", "True"), condition("DiskPressure", "True", 7), condition("MemoryPressure", "True", 8)),
        "KubeNodePressure",
        8,
        id="node-under-two-pressures",
    ),
    pytest.param(JOB, workload("Job", "batch/v1", condition("Failed", "True")), "KubeJobFailed", 10, id="job"),
    pytest.param(
        DEPLOYMENT,
        workload("Deployment", "apps/v1", condition("Progressing", "False", reason="ProgressDeadlineExceeded")),
        "KubeDeploymentRolloutStuck",
        10,
        id="roll-out",
    ),
    pytest.param(CLAIM, claim(**PROVISIONED), "KubePersistentVolumeClaimPending", 60, id="claim"),
    pytest.param(CLAIM, claim(storage_class=""), "KubePersistentVolumeClaimPending", 60, id="claim-without-a-class"),
    pytest.param(
        EVENT,
        warning("ProvisioningFailed", 'storageclass.storage.k8s.io "fsat" not found', claim()),
        "KubePersistentVolumeClaimPending",
        5,
        id="claim-of-a-class-that-is-not-there",
    ),
    pytest.param(QUOTA, quota("10", "10"), "KubeQuotaFullyUsed", 60, id="quota"),
    pytest.param(QUOTA, quota("1k", "1000"), "KubeQuotaFullyUsed", 60, id="quota-written-otherwise"),
    pytest.param(
        EVENT,
        warning("FailedCreate", 'pods "x" is forbidden: exceeded quota: limits', workload("ReplicaSet", "apps/v1")),
        "KubeQuotaExceeded",
        5,
        id="quota-hit",
    ),
]

WELL = [
    pytest.param(POD_KIND, pod(running()), id="running"),
    pytest.param(POD_KIND, held(container(state=CREATING)), id="starting"),
    pytest.param(
        POD_KIND,
        held(container(state=RUNS, started=False), NOT_READY),
        id="not-yet-started",
    ),
    pytest.param(
        POD_KIND,
        held_up(container("prepare", state=RUNS, started=True), NOT_READY),
        id="first-container-runs",
    ),
    pytest.param(
        POD_KIND,
        held(container(state=RUNS, ready=True, lastState=OLD_OOM)),
        id="oom-long-ago",
    ),
    pytest.param(
        POD_KIND, pod({"conditions": [condition("PodScheduled", "False", reason="SchedulingGated")]}), id="gated"
    ),
    pytest.param(EVENT, warning("Unhealthy", "Startup probe failed: refused", pod()), id="start-up-probe"),
    pytest.param(EVENT, warning("Unhealthy", "Liveness probe failed: HTTP 500", pod(), count=1), id="one-failure"),
    pytest.param(EVENT, warning("Unhealthy", "Liveness probe failed", pod(), first=30, last=8), id="failed-long-ago"),
    pytest.param(EVENT, warning("FailedCreate", "admission webhook denied the request", pod()), id="refused-otherwise"),
    pytest.param(NODE, node(condition("Ready", "True"), condition("DiskPressure", "False")), id="node"),
    pytest.param(NODE, node(), id="node-that-said-nothing-yet"),
    pytest.param(JOB, workload("Job", "batch/v1", condition("Complete", "True")), id="job-complete"),
    pytest.param(
        DEPLOYMENT,
        workload("Deployment", "apps/v1", condition("Progressing", "True", reason="ReplicaSetUpdated")),
        id="rolling-out",
    ),
    pytest.param(CLAIM, claim(), id="claim-that-waits-for-its-first-consumer"),
    pytest.param(CLAIM, claim("Bound", **PROVISIONED), id="claim-bound"),
    pytest.param(QUOTA, quota("10", "9"), id="quota-with-room"),
    pytest.param(QUOTA, quota("0", "0"), id="quota-that-forbids"),
]


@pytest.mark.parametrize(("kind", "obj", "name", "minutes"), IN_TROUBLE)
def test_a_trouble_is_seen_with_its_own_beginning(kind: Kind, obj: Object, name: str, minutes: float) -> None:
    """The alert's name, and since when by the object's own word."""
    [trouble] = found(kind, obj)
    assert (trouble.alert.name, trouble.since) == (name, NOON - timedelta(minutes=minutes))
    assert trouble.summary


@pytest.mark.parametrize(("kind", "obj"), WELL)
def test_what_is_well_is_left_alone(kind: Kind, obj: Object) -> None:
    """Normal states, and those that are meant, are no trouble."""
    assert found(kind, obj) == []


ODD = [None, 7, "text", [], ["text", None, 7], {}, {"a": 1}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("kind", WATCHED, ids=lambda kind: kind.kind)
def test_an_odd_object_is_no_trouble_and_no_failure(kind: Kind, odd: Any) -> None:
    """Whatever stands where a status, a list or a time should be."""
    states = [{"name": odd, "state": odd, "lastState": odd, "restartCount": odd}]
    status = {"conditions": odd, "containerStatuses": odd, "hard": odd, "used": odd, "phase": odd, "notAfter": odd}
    for part in (odd, status, {**status, "containerStatuses": states, "conditions": [{"type": odd, "status": odd}]}):
        obj = {"kind": kind.kind, "metadata": odd, "spec": odd, "status": part, "data": odd, "type": odd, "reason": odd}
        troubles(WATCHED[kind], obj, NOON)


def test_values_and_labels_tell_what_policies_ask() -> None:
    """Restarts as a number, the container, and the object's own labels without the hash of the roll-out."""
    [trouble] = found(POD_KIND, pod(crashing(restarts=7)))
    assert trouble.values == {"restarts": 7, "exitCode": 1, "lastReason": "Error"}
    assert trouble.labels == {"app": "api", "container": "api", "reason": "CrashLoopBackOff"}


def test_an_oom_kill_ends_by_itself() -> None:
    """It happened: after a while without another one it is over, though the object still says it."""
    [trouble] = found(POD_KIND, held(container(state=OOM)))
    assert trouble.lasts(NOON + timedelta(minutes=9))
    assert not trouble.lasts(NOON + timedelta(minutes=10))
