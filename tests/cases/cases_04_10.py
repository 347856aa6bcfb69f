"""Cases 4-10: defaults of custom kinds and inside list keys, empty against absent, null, and what the server drops."""

from typing import Any

from tests.cases.case import Case, Deployed, Peers, drift
from tests.cases.makers import (
    LABELS,
    POD,
    WEB,
    config,
    definition,
    of,
    service,
    widget,
    widgets,
    workload,
)  # fmt: skip
from tests.cases.scene import PERSON as HAND

FOUR: Peers = {"argocd": "false alarm without server-side diff", "flux": "no drift"}
KEY = {"key": "db/password"}
SECRETS = {"remote": KEY, "entries": [{"name": "user", "remoteRef": KEY}, {"name": "password", "remoteRef": KEY}]}
CUSTOM = (
    Case(id="04-defaults-of-a-custom-resource", title="the schema's defaults in a custom resource, applied",
         declared=widget(**SECRETS), before=widgets, **FOUR),
    Case(id="04-defaults-of-a-created-custom-resource", title="the same, by a plain create that then owns them",
         declared=widget(**SECRETS), before=widgets, deployed=Deployed.POST, **FOUR),
    Case(id="04-defaults-owned-by-its-controller", title="a controller writes the whole object back, with defaults",
         declared=widget(**SECRETS), before=widgets,
         then=lambda s: s.edit(lambda obj: obj["metadata"].setdefault("finalizers", []).append("example.org/f"),
                               "external-secrets"), **FOUR),
    Case(id="04-custom-default-changed", title="a person changes a default that nobody declared",
         declared=widget(**SECRETS), before=widgets, then=lambda s: s.set("/spec/remote/conversionStrategy", "Unicode"),
         expect=drift(("/spec/remote/conversionStrategy", "added"), manager=HAND), argocd="not seen",
         flux="drift by kubectl only"),
    Case(id="04-custom-default-in-a-list-changed", title="a person changes one in an item of a list",
         declared=widget(**SECRETS), before=widgets,
         then=lambda s: s.set("/spec/entries/1/remoteRef/metadataPolicy", "Fetch"),
         expect=drift(("/spec/entries/1/remoteRef/metadataPolicy", "added"), manager=HAND), argocd="not seen",
         flux="drift by kubectl only"),
)  # fmt: skip

FIVE: Peers = {"argocd": "false alarm", "flux": "no drift"}
LIMIT = {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
DIVISOR = (
    *(Case(id=f"05-divisor-{how.name.lower()}", title=f"`resourceFieldRef` gets `divisor: \"0\"`, by {how.value}",
           declared=workload(env=[LIMIT]), deployed=how, **FIVE)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="05-divisor-in-a-volume", title="the same in a downward API volume, an atomic part",
         declared=workload(pod={"volumes": [{"name": "d", "downwardAPI": {"items": [
             {"path": "cpu", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}]}}]}), **FIVE),
    Case(id="05-divisor-changed", title="a person sets the divisor", declared=workload(env=[LIMIT]),
         then=lambda s: s.set(WEB + "/env/0/valueFrom/resourceFieldRef/divisor", "1m"),
         expect=drift((WEB + "/env/0/valueFrom/resourceFieldRef", "changed"), manager=HAND), argocd="drift",
         flux="drift"),
)  # fmt: skip

SIX: Peers = {"argocd": "no drift", "flux": "no drift"}
PORTS = [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]
INIT = {"initContainers": [{"name": "init", "image": "example.org/i:1", "ports": [{"containerPort": 81}]}]}


def to_udp(pointer: str) -> Any:
    """A PUT that makes one port of a list UDP."""

    def change(obj: dict[str, Any]) -> None:
        place: Any = obj
        for part in pointer.strip("/").split("/"):
            place = place[int(part)] if isinstance(place, list) else place[part]
        place["protocol"] = "UDP"

    return lambda scene: scene.edit(change)


PROTOCOLS = (
    Case(id="06-protocol-of-container-ports", title="`protocol: TCP` by default is part of a port's key",
         declared=workload(ports=PORTS), **SIX),
    Case(id="06-protocol-of-init-containers", title="the same in an init container",
         declared=workload(pod=INIT), **SIX),
    Case(id="06-protocol-of-service-ports", title="the same in a Service, created",
         declared=service(ports=[{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]),
         deployed=Deployed.POST, **SIX),
    Case(id="06-protocol-of-network-policies", title="the same in a NetworkPolicy, an atomic list",
         declared=of("networking.k8s.io/v1", "NetworkPolicy",
                     spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]}),
         **SIX),
    Case(id="06-protocol-changed", title="a person makes a container's port UDP: another one, and the declared is gone",
         declared=workload(ports=PORTS), then=to_udp(WEB + "/ports/0"),
         expect=drift((WEB + "/ports/0", "removed"), (WEB + "/ports/0", "added"), manager=HAND, reason="invalid"),
         argocd="drift", flux="no verdict: the dry-run is refused"),
    Case(id="06-protocol-of-a-service-changed", title="the same in a Service, where the apply is refused",
         declared=service(ports=[{"name": "a", "port": 80}]), then=to_udp("/spec/ports/0"),
         expect=drift(("/spec/ports/0", "removed"), ("/spec/ports/0", "added"), manager=HAND, reason="invalid"),
         argocd="drift", flux="no verdict: the dry-run is refused"),
)  # fmt: skip

SEVEN: Peers = {"argocd": "partly a false alarm", "flux": "no drift"}
EMPTY_ENV = [{"name": "EMPTY", "value": ""}, {"name": "SET", "value": "x"}]
EMPTIES = (
    *(Case(id=f"07-empty-value-{how.name.lower()}", title=f"`value: \"\"` and `resources: {{}}`, by {how.value}",
           declared=workload(env=EMPTY_ENV, resources={}, securityContext={}), deployed=how, **SEVEN)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="07-empty-lists-of-a-service", title="`loadBalancerSourceRanges: []` and `externalIPs: []`",
         declared=service(loadBalancerSourceRanges=[], externalIPs=[]), **SEVEN),
    Case(id="07-empty-choice", title="`emptyDir: {}` stays what it is", **SEVEN,
         declared=workload(pod={"volumes": [{"name": "tmp", "emptyDir": {}}], "tolerations": [], "nodeSelector": {}})),
    Case(id="07-empty-parts-of-a-custom-resource", title="empty map, list and text in a custom resource, taken out",
         declared=widget(free={}, steps=[], tags=[], note=""), stored=widget(), before=widgets, argocd="false alarm",
         flux="false alarm"),
    Case(id="07-empty-config-value", title="an empty value in a ConfigMap is a value", declared=config(empty=""),
         argocd="no drift", flux="no drift"),
    Case(id="07-empty-config-value-removed", title="a person removes that key", declared=config(empty="", a="1"),
         then=lambda s: s.unset("/data/empty"), expect=drift(("/data/empty", "removed")), argocd="drift",
         flux="drift"),
    Case(id="07-empty-value-filled", title="a person fills an empty environment variable",
         declared=workload(env=EMPTY_ENV), then=lambda s: s.set(WEB + "/env/0/value", "x"),
         expect=drift((WEB + "/env/0/value", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="07-empty-resources-filled", title="a person sets limits where `resources: {}` is declared",
         declared=workload(resources={}), then=lambda s: s.set(WEB + "/resources/limits", {"cpu": "1"}),
         expect=drift((WEB + "/resources/limits", "added"), manager=HAND), argocd="not seen",
         flux="drift by kubectl only"),
    Case(id="07-empty-choice-swapped", title="a person swaps an `emptyDir: {}` for a host's folder",
         declared=workload(pod={"volumes": [{"name": "tmp", "emptyDir": {}}]}),
         then=lambda s: s.edit(lambda obj: obj["spec"]["template"]["spec"]["volumes"].__setitem__(
             0, {"name": "tmp", "hostPath": {"path": "/"}})),
         expect=drift((POD + "/volumes/0/emptyDir", "removed"), (POD + "/volumes/0/hostPath", "added"), manager=HAND,
                      reason="invalid"), argocd="drift", flux="no verdict: the dry-run is refused"),
)  # fmt: skip

EIGHT: Peers = {"argocd": "false alarm for CRs", "flux": "no drift"}
NULLS = (
    Case(id="08-null-annotations", title="`annotations: null` and `labels: null`",
         declared=of("v1", "ConfigMap", metadata={"annotations": None, "labels": None}, data={"a": "1"}), **EIGHT),
    Case(id="08-null-annotations-of-a-custom-resource", title="the same in a custom resource", before=widgets,
         declared=of("cases.example.org/v1", "Widget", metadata={"annotations": None}, spec={"note": "x"}), **EIGHT),
    Case(id="08-null-parts-of-a-pod", title="`nodeSelector: null`, `env: null` and `command: null`",
         declared=workload(env=None, command=None, pod={"nodeSelector": None, "volumes": None}), **EIGHT),
    Case(id="08-null-part-of-a-custom-resource", title="`note: null` in a custom resource", before=widgets,
         declared=widget(note=None, size=1), deployed=Deployed.POST, **EIGHT),
    Case(id="08-null-filled", title="a person adds an annotation where null is declared",
         declared=of("v1", "ConfigMap", metadata={"annotations": None}, data={"a": "1"}),
         then=lambda s: s.merge({"metadata": {"annotations": {"note": "x"}}}),
         expect=drift(("/metadata/annotations/note", "added"), manager=HAND), argocd="not seen",
         flux="drift by kubectl only"),
)  # fmt: skip

NINE: Peers = {"argocd": "false alarm", "flux": "no drift"}
ZEROS = {"hostNetwork": False, "hostPID": False, "hostIPC": False}


def unpreserved(namespace: str, name: str) -> dict[str, Any]:
    """A definition that says `preserveUnknownFields: false`, which the server does not store."""
    obj = definition(f"{name}.example.org", "Quiet", {"note": {"type": "string"}})
    obj["spec"]["preserveUnknownFields"] = False
    return obj


DROPPED = (
    *(Case(id=f"09-zeros-dropped-by-the-server-{how.name.lower()}", declared=workload(
               pod=ZEROS, spec={"paused": False, "minReadySeconds": 0}, stdin=False, tty=False),
           title=f"`hostNetwork: false`, `paused: false`, `tty: false` are not stored, by {how.value}",
           deployed=how, **NINE) for how in (Deployed.APPLY, Deployed.POST)),
    Case(id="09-preserve-unknown-fields-false", title="`preserveUnknownFields: false` of a CRD is not stored",
         declared=unpreserved, **NINE),
    Case(id="09-zeros-set", title="a person turns `hostNetwork: false` on", declared=workload(pod=ZEROS),
         then=lambda s: s.set(POD + "/hostNetwork", True),
         expect=drift((POD + "/hostNetwork", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="09-false-of-a-custom-resource-removed", before=widgets, declared=widget(enabled=False, note="x"),
         title="a person removes `enabled: false` from a custom resource: absent may mean true there",
         then=lambda s: s.unset("/spec/enabled"), expect=drift(("/spec/enabled", "removed")), argocd="drift",
         flux="drift"),
)  # fmt: skip

TEN: Peers = {"argocd": "no drift", "flux": "no drift"}
STAMPED: dict[str, Any] = {"metadata": {"name": "data", "creationTimestamp": None}, "spec": {
    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip


def null_times(namespace: str, name: str) -> dict[str, Any]:
    """As generators print workloads: a null creationTimestamp in each of the metadata."""
    obj = workload("StatefulSet", spec={"volumeClaimTemplates": [STAMPED]})(namespace, name)
    obj["metadata"]["creationTimestamp"] = None
    obj["spec"]["template"]["metadata"]["creationTimestamp"] = None
    return obj


SEALED = {"template": {"metadata": {"creationTimestamp": None, "labels": LABELS}, "type": "Opaque"}}
TIMES = (
    *(Case(id=f"10-null-times-{how.name.lower()}", title=f"`creationTimestamp: null` in three places, by {how.value}",
           declared=null_times, deployed=how, **TEN) for how in (Deployed.APPLY, Deployed.POST)),
    Case(id="10-null-time-in-a-custom-resource", title="the same in a custom resource's template (SealedSecret)",
         declared=widget(**SEALED), before=widgets, **TEN),
    Case(id="10-template-beside-null-time-changed", title="a person changes a label beside it",
         declared=widget(**SEALED), before=widgets, then=lambda s: s.set("/spec/template/metadata/labels/app", "x"),
         expect=drift(("/spec/template/metadata/labels/app", "changed"), manager=HAND), argocd="drift", flux="drift"),
)  # fmt: skip

CASES = (*CUSTOM, *DIVISOR, *PROTOCOLS, *EMPTIES, *NULLS, *DROPPED, *TIMES)
