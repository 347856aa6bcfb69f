"""Cases 1-3: one value in two spellings, and the defaults of built-in kinds. Nothing has drifted, yet it differs."""

from typing import Any

from tests.cases.case import Case, Deployed, Peers, drift
from tests.cases.makers import (
    LABELS,
    WEB,
    autoscaler,
    cluster_wide,
    of,
    service,
    widget,
    widgets,
    workload,
)  # fmt: skip
from tests.cases.scene import PERSON as HAND

ONE: Peers = {"argocd": "no drift for built-in kinds; in CRs only with knownTypeFields", "flux": "no drift"}
ROOM = {"limits": {"cpu": "1000m", "memory": "3072Mi"}, "requests": {"cpu": 0.1, "memory": 1024}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
CPU = {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1000m"}}

QUANTITIES = (
    Case(id="01-quantities-of-containers", title="`1000m`, `3072Mi`, `0.1` and `1024` as container resources",
         declared=workload(resources=ROOM), **ONE),
    Case(id="01-quantities-created-by-helm", title="the same, by a plain create", deployed=Deployed.POST,
         declared=workload(resources=ROOM), **ONE),
    Case(id="01-quantity-of-a-claim", title="`1024Mi` of storage in a PersistentVolumeClaim",
         declared=of("v1", "PersistentVolumeClaim", spec=CLAIM), **ONE),
    Case(id="01-quantity-of-a-quota", title="`1000m` and `2048Mi` in a ResourceQuota",
         declared=of("v1", "ResourceQuota", spec={"hard": {"limits.cpu": "1000m", "limits.memory": "2048Mi"}}), **ONE),
    Case(id="01-quantity-of-a-metric", title="`1000m` as an autoscaler's target",
         declared=autoscaler(metrics=[{"type": "Resource", "resource": CPU}]), **ONE),
    Case(id="01-quantity-of-a-volume", title="`1024Mi` as an emptyDir's size limit",
         declared=workload(pod={"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}}]}), **ONE),
    Case(id="01-quantity-of-a-custom-resource", title="a controller writes `1000m` as `1` into a custom resource",
         declared=widget(amount="1000m"), before=widgets, then=lambda s: s.set("/spec/amount", "1", "manager"), **ONE),
    Case(id="01-number-as-quantity-of-a-custom-resource", title="`2` as a number, stored as the text `2000m`",
         declared=widget(amount=2), stored=widget(amount="2000m"), before=widgets, **ONE),
    Case(id="01-quantity-changed", title="a person doubles the CPU limit", declared=workload(resources=ROOM),
         then=lambda s: s.set(WEB + "/resources/limits/cpu", "2"),
         expect=drift((WEB + "/resources/limits/cpu", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="01-unit-changed", title="a person writes `3072M` for `3072Mi`", declared=workload(resources=ROOM),
         then=lambda s: s.set(WEB + "/resources/limits/memory", "3072M"),
         expect=drift((WEB + "/resources/limits/memory", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="01-quantity-of-a-custom-resource-changed", title="a person writes `1001m` into a custom resource",
         declared=widget(amount="1000m"), before=widgets, then=lambda s: s.set("/spec/amount", "1001m"),
         expect=drift(("/spec/amount", "changed"), manager=HAND), argocd="drift", flux="drift"),
)  # fmt: skip

TWO: Peers = {"argocd": "false alarm without knownTypeFields", "flux": "no drift where the server rewrites it"}
DURATIONS = (
    Case(id="02-duration-spelled-by-its-controller", title="a controller writes `8760h` as `8760h0m0s`",
         declared=widget(period="8760h"), before=widgets, then=lambda s: s.set("/spec/period", "8760h0m0s", "manager"),
         **TWO),
    Case(id="02-duration-in-minutes", title="`90m` declared, `1h30m` stored", declared=widget(period="90m"),
         stored=widget(period="1h30m"), before=widgets, **TWO),
    Case(id="02-duration-changed", title="a person makes it one hour longer", declared=widget(period="8760h"),
         before=widgets, then=lambda s: s.set("/spec/period", "8761h"),
         expect=drift(("/spec/period", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="02-no-duration", title="texts that only look alike stay different: `1h` and `1 h`",
         declared=widget(period="1h"), before=widgets, then=lambda s: s.set("/spec/period", "1 h"),
         expect=drift(("/spec/period", "changed"), manager=HAND), argocd="drift", flux="drift"),
)  # fmt: skip

THREE: Peers = {"argocd": "no drift", "flux": "no drift"}
PROBE = {"httpGet": {"path": "/", "port": 80}}
FULL: dict[str, Any] = {
    "ports": [{"containerPort": 80}], "livenessProbe": PROBE, "readinessProbe": {"tcpSocket": {"port": 80}},
    "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
}  # fmt: skip
VOLUMES = {"volumes": [{"name": "settings", "configMap": {"name": "settings"}},
                       {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
           "serviceAccountName": "default"}  # fmt: skip
ONCE = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "example.org/x:1"}]}}}
DEFAULTED = {
    "deployment": workload(pod=VOLUMES, **FULL),
    "statefulset": workload("StatefulSet", pod=VOLUMES, **FULL),
    "daemonset": workload("DaemonSet", pod=VOLUMES, **FULL),
    "cronjob": of("batch/v1", "CronJob", spec={"schedule": "0 * * * *", "jobTemplate": {"spec": ONCE}}),
    "service": service(),
    "ingress": of("networking.k8s.io/v1", "Ingress",
                  spec={"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}),
    "networkpolicy": of("networking.k8s.io/v1", "NetworkPolicy",
                        spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}),
    "budget": of("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": {"matchLabels": LABELS}}),
    "autoscaler": autoscaler(),
    "storageclass": cluster_wide("storage.k8s.io/v1", "StorageClass", provisioner="example.org/disks"),
    "rolebinding": of("rbac.authorization.k8s.io/v1", "RoleBinding",
                      roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"},
                      subjects=[{"kind": "Group", "name": "staff"}]),
}  # fmt: skip
DEFAULTS = (
    *(Case(id=f"03-defaults-of-a-{name}", title=f"defaults: {name}, applied", declared=make, **THREE)
      for name, make in DEFAULTED.items()),
    *(Case(id=f"03-defaults-of-a-created-{name}", title=f"defaults: {name}, created by helm, which then owns them",
           declared=make, deployed=Deployed.POST, **THREE)
      for name, make in DEFAULTED.items()),
    Case(id="03-default-changed", title="a person changes a default that nobody declared", declared=workload(),
         then=lambda s: s.set(WEB + "/imagePullPolicy", "Always"),
         expect=drift((WEB + "/imagePullPolicy", "added"), manager=HAND), argocd="not seen", flux="drift"),
    Case(id="03-default-changed-of-a-created-object", title="the same where the creator owned the default",
         declared=service(), deployed=Deployed.POST, then=lambda s: s.set("/spec/publishNotReadyAddresses", True),
         expect=drift(("/spec/publishNotReadyAddresses", "added"), manager=HAND), argocd="not seen", flux="drift"),
    Case(id="03-declared-default-changed", title="a person changes a default that is also declared",
         declared=workload(spec={"revisionHistoryLimit": 10}), then=lambda s: s.set("/spec/revisionHistoryLimit", 2),
         expect=drift(("/spec/revisionHistoryLimit", "changed"), manager=HAND), argocd="drift", flux="drift"),
)  # fmt: skip

CASES = (*QUANTITIES, *DURATIONS, *DEFAULTS)
