"""Defaults of Kubernetes' built-in kinds, for a verdict without the server's help.

They cannot be told from OpenAPI, where built-in kinds state none. Needed in two places of the local comparison: inside
an atomic map or list, which is compared whole, and for fields that the creator of an object owns though the server put
them there. A person who adds exactly a default is not seen then, which changes nothing for the object either.
Source: the `SetDefaults_…` functions of k8s.io/kubernetes/pkg/apis/*/v*/defaults.go.
"""

from typing import Any

DEEPEST = 20  # no default is nested more, and Python's stack ends
ANY = object()  # the server chooses the value, or copies it from another field

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
    "targetPort": (ANY,),
    "allocateLoadBalancerNodePorts": (True,),
    "type": ("ClusterIP", "RollingUpdate", "Opaque"),
    "policyTypes": (["Ingress"], ["Ingress", "Egress"]),
    # the rest
    "apiVersion": ("v1",),
    "kind": ("PersistentVolumeClaim",),
    "phase": ("Pending",),
    "expirationSeconds": (3600,),
    "apiGroup": ("rbac.authorization.k8s.io",),
    "minReplicas": (1,),
    "metrics": (
        [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    ),
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


def is_default(name: str, value: Any, depth: int = 0) -> bool:
    """True where a field's value, or all that is in it, is what the server puts there by itself."""
    allowed = DEFAULTS.get(name, ())
    if ANY in allowed or any(value == one and type(value) is type(one) for one in allowed):
        return True
    if isinstance(value, dict):
        return depth < DEEPEST and all(is_default(key, child, depth + 1) for key, child in value.items())
    return value in (None, "", [])
