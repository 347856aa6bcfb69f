"""Defaults of Kubernetes' built-in kinds, for a verdict without the server's help.

Whoever creates an object with a plain POST owns the defaults that the server puts in, so by managedFields alone they
look like that manager's additions. A dry-run create tells them apart; where the token may not, two signs are left: the
manager has not written since the creation, or the value is what the server would have put there. A person who adds
exactly a default is not seen then, which changes nothing for the object either.
Source: the `SetDefaults_…` functions of k8s.io/kubernetes/pkg/apis/*/v*/defaults.go.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.kube.additions import KUBERNETES
from services.kube.objects import Object, metadata_of
from services.kube.ownership import owners
from services.kube.pointer import FieldDiff, parse_pointer

ANY = object()  # the server chooses the value, or copies it from another field
SAME_MOMENT = timedelta(seconds=1)  # both times are cut to whole seconds

DEFAULTS: dict[str, tuple[Any, ...]] = {
    # pods
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "restartPolicy": ("Always",),
    "dnsPolicy": ("ClusterFirst",),
    "schedulerName": ("default-scheduler",),
    "serviceAccount": (ANY,),
    "terminationGracePeriodSeconds": (30,),
    "enableServiceLinks": (True,),
    "defaultMode": (420,),
    "divisor": ("0",),
    "failureThreshold": (3,),
    "periodSeconds": (10,),
    "successThreshold": (1,),
    "timeoutSeconds": (1, 10),
    "scheme": ("HTTP",),
    # workloads
    "replicas": (1,),
    "progressDeadlineSeconds": (600,),
    "revisionHistoryLimit": (10,),
    "maxSurge": ("25%", 0),
    "maxUnavailable": ("25%", 1),
    "podManagementPolicy": ("OrderedReady",),
    "partition": (0,),
    "whenDeleted": ("Retain",),
    "whenScaled": ("Retain",),
    "volumeMode": ("Filesystem",),
    "backoffLimit": (6,),
    "completionMode": ("NonIndexed",),
    "completions": (1,),
    "parallelism": (1,),
    "podReplacementPolicy": ("TerminatingOrFailed",),
    "manualSelector": (False,),
    "concurrencyPolicy": ("Allow",),
    "suspend": (False,),
    "failedJobsHistoryLimit": (1,),
    "successfulJobsHistoryLimit": (3,),
    # services and networks
    "protocol": ("TCP",),
    "sessionAffinity": ("None",),
    "internalTrafficPolicy": ("Cluster",),
    "externalTrafficPolicy": ("Cluster",),
    "ipFamilyPolicy": ("SingleStack",),
    "ipFamilies": (ANY,),
    "clusterIP": (ANY,),
    "clusterIPs": (ANY,),
    "nodePort": (ANY,),
    "targetPort": (ANY,),
    "allocateLoadBalancerNodePorts": (True,),
    "type": ("ClusterIP", "RollingUpdate", "Opaque", "Utilization"),
    "policyTypes": (["Ingress"], ["Ingress", "Egress"]),
    # the rest
    "apiVersion": ("v1",),
    "apiGroup": ("rbac.authorization.k8s.io",),
    "averageUtilization": (80,),
    "reclaimPolicy": ("Delete",),
    "volumeBindingMode": ("Immediate",),
    "preemptionPolicy": ("PreemptLowerPriority",),
    "finalizers": (["kubernetes"],),
    "kubernetes.io/metadata.name": (ANY,),
    # custom resource definitions
    "strategy": ("None",),
    "singular": (ANY,),
    "listKind": (ANY,),
    # admission webhooks
    "matchPolicy": ("Equivalent",),
    "failurePolicy": ("Fail",),
    "reinvocationPolicy": ("Never",),
    "scope": ("*",),
}


def less_defaults(live: Object, added: list[FieldDiff]) -> list[FieldDiff]:
    """The additions that neither came with the object nor say what the server would have said anyway."""
    return [diff for diff in added if not _as_created(live, diff) and not is_default(diff.path, diff.live)]


def is_default(pointer: str, value: Any) -> bool:
    """True where a value, or all that is in it, is what the server puts there by itself."""
    segments = parse_pointer(pointer)
    name = next((segment for segment in reversed(segments) if not segment.isdigit()), "")
    return _is_default(name, value)


def _is_default(name: str, value: Any) -> bool:
    allowed = DEFAULTS.get(name, ())
    if ANY in allowed or any(value == one and type(value) is type(one) for one in allowed):
        return True
    if isinstance(value, dict):
        return all(_is_default(key, child) for key, child in value.items())
    return False


def _as_created(live: Object, diff: FieldDiff) -> bool:
    """True where every untrusted writer of the field has not written since it created the object."""
    created = _time(metadata_of(live).get("creationTimestamp"))
    writers = [owner for owner in owners(live, diff.path) if owner.manager not in KUBERNETES]
    if created is None or not writers:
        return False
    latest = created + SAME_MOMENT
    return all(owner.operation == "Update" and owner.time is not None and owner.time <= latest for owner in writers)


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None
