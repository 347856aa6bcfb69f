"""The policies that cut one pod off, for each engine, and which policies of others still let traffic through.

Pure: labels and objects in, objects out. What is dangerous to believe:
- Kubernetes' NetworkPolicies are additive. One that cuts everything takes nothing away from what another one allows,
  so a pod that other policies select is cut in those directions only in which none of them allows anything.
- Cilium's denials and Calico's, by their order, do come before what others allow. Calico's tiers above the default one
  come before ours. Cilium's denial cannot spare DNS, since nothing is allowed that is denied.
- The node itself stays able to reach the pod, so that its probes do not make the kubelet kill what is to be looked at.
Sources: kubernetes.io/docs/concepts/services-networking/network-policies, docs.cilium.io (policy/language, deny),
docs.tigera.io/calico (reference/resources/networkpolicy).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve

LABEL = "setpoint.dev/isolated"
DNS_NAMESPACE, DNS_LABEL = "kube-system", ("k8s-app", "kube-dns")
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
CALICO_ORDER = 0.0  # Kubernetes' own policies have 1000 there
CILIUM_ALL_NAMESPACES = {"matchExpressions": [{"key": "k8s:io.kubernetes.pod.namespace", "operator": "Exists"}]}
CILIUM_OUTER = ("world", "remote-node", "ingress", "unmanaged", "init")


class Engine(NamedTuple):
    """How one engine's policy is served: the groups are tried in this order."""

    kind: str
    groups: tuple[tuple[str, str], ...]  # with the version that the manifest is of
    denies: bool  # whether it comes before what others allow


ENGINES = {
    "kubernetes": Engine("NetworkPolicy", (("networking.k8s.io", "v1"),), False),
    "cilium": Engine("CiliumNetworkPolicy", (("cilium.io", "v2"),), True),
    "calico": Engine("NetworkPolicy", (("projectcalico.org", "v3"), ("crd.projectcalico.org", "v1")), True),
}


def spec_of(engine: str, group: str, uid: str, directions: Sequence[str], allow_dns: bool) -> Object:
    """The policy's spec: it selects the one pod that has the label."""
    if engine == "cilium":
        return _cilium(uid, directions)
    return _calico(group, uid, directions, allow_dns) if engine == "calico" else _plain(uid, directions, allow_dns)


def name_of(group: str, uid: str) -> str:
    """The policy's name: in Calico's own storage a policy of the default tier begins with that tier's name."""
    return ("default." if group == "crd.projectcalico.org" else "") + f"setpoint-isolate-{uid}"


def still_allowing(policies: Iterable[Object], labels: Mapping[str, str], direction: str) -> list[str]:
    """Names of NetworkPolicies that select a pod with these labels and allow something in this direction."""
    return sorted(
        str(metadata_of(one)["name"])
        for one in policies
        if resolve(one, ("spec", direction)) and selects(resolve(one, ("spec", "podSelector")) or {}, labels)
    )


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a Kubernetes label selector fits; an empty one fits everything."""
    plain = (selector.get("matchLabels") or {}).items() <= labels.items()
    return plain and all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None


def _plain(uid: str, directions: Sequence[str], allow_dns: bool) -> Object:
    spec: Object = {"podSelector": {"matchLabels": {LABEL: uid}}, "policyTypes": [one.title() for one in directions]}
    if allow_dns and "egress" in directions:
        to = {
            "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: DNS_NAMESPACE}},
            "podSelector": {"matchLabels": dict([DNS_LABEL])},
        }
        spec["egress"] = [{"to": [to], "ports": [{"protocol": one, "port": 53} for one in ("UDP", "TCP")]}]
    return spec


def _cilium(uid: str, directions: Sequence[str]) -> Object:
    spec: Object = {"endpointSelector": {"matchLabels": {LABEL: uid}}}
    if "ingress" in directions:
        spec["ingressDeny"] = [{"fromEndpoints": [CILIUM_ALL_NAMESPACES]}, {"fromEntities": list(CILIUM_OUTER)}]
    if "egress" in directions:
        spec["egressDeny"] = [{"toEntities": ["all"]}]
    return spec


def _calico(group: str, uid: str, directions: Sequence[str], allow_dns: bool) -> Object:
    spec: Object = {
        "selector": f"{LABEL} == '{uid}'", "order": CALICO_ORDER, "types": [one.title() for one in directions],
    }  # fmt: skip
    spec |= {"tier": "default"} if group == "crd.projectcalico.org" else {}
    denial = [{"action": "Deny"}]
    if "ingress" in directions:
        spec["ingress"] = denial
    if "egress" in directions:
        spec["egress"] = [*(_calico_dns() if allow_dns else ()), *denial]
    return spec


def _calico_dns() -> list[Object]:
    to = {
        "namespaceSelector": f"projectcalico.org/name == '{DNS_NAMESPACE}'",
        "selector": f"{DNS_LABEL[0]} == '{DNS_LABEL[1]}'", "ports": [53],
    }  # fmt: skip
    return [{"action": "Allow", "protocol": one, "destination": to} for one in ("UDP", "TCP")]
