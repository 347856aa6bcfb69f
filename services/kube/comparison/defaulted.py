"""Whether a field's value is only what the server says in that place by itself, or what follows from another field.

`kube/comparison/defaults.py` knows the values; here they are looked at in their place, since the same name means
different things in different kinds: `maxSurge: 0` is a DaemonSet's default and a Deployment's outage. What follows from
another field (a port's node port once the type asks for one) is no addition of its own: who changed the other is told.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.kube.comparison.defaults import DEEPEST, is_default
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.comparison.topmost import node_at
from services.kube.objects import Object
from services.kube.pointer import Segments, parse_pointer, resolve

OWN_LABEL = ("kubernetes.io/metadata.name",)  # the one label that the server itself sets, on namespaces
AFFINITY = {"clientIP": {"timeoutSeconds": 10800}}
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
MAX_SURGE = {"Deployment": "25%", "DaemonSet": 0}
MAX_UNAVAILABLE = {"Deployment": "25%", "DaemonSet": 1, "StatefulSet": 1}
TYPES = {"Service": "ClusterIP", "Secret": "Opaque"}

# (value, the map it stands in, the object's kind) → true where the server would say the same.
InPlace = Callable[[Any, Mapping[str, Any], str], bool]
IN_PLACE: dict[str, InPlace] = {
    "imagePullPolicy": lambda value, parent, _: value == _pull_policy(str(parent.get("image") or "")),
    "targetPort": lambda value, parent, _: value == parent.get("port"),
    "serviceAccount": lambda value, parent, _: value == parent.get("serviceAccountName"),
    "maxSurge": lambda value, _, kind: value == MAX_SURGE.get(kind, ()),
    "maxUnavailable": lambda value, _, kind: value == MAX_UNAVAILABLE.get(kind, ()),
    "timeoutSeconds": lambda value, _, kind: value == (10 if kind in WEBHOOKS else 1),
    "type": lambda value, _, kind: value == TYPES.get(kind, "RollingUpdate"),
    "sessionAffinityConfig": lambda value, _, __: value == AFFINITY,
}


def defaulted(live: Object, pointer: str, value: Any, schema: SchemaNode = UNKNOWN) -> bool:
    """True where the value at this place of a live object, or all that is in it, is a default.

    No server fills in keys of free maps: a label without text is somebody's, and so is a ConfigMap's `scheme: HTTP`.
    """
    path = parse_pointer(pointer)
    if path[-1:] != OWN_LABEL and node_at(schema, path[:-1]).values is not None:
        return False
    name = next((segment for segment in reversed(path) if not segment.isdigit()), "")
    parent = resolve(live, path[:-1]) if path[-1:] == (name,) else {}
    known = parent if isinstance(parent, dict) else {}
    return _says_itself(name, value, known, str(live.get("kind") or ""), node_at(schema, path))


def _says_itself(name: str, value: Any, parent: Mapping[str, Any], kind: str, node: SchemaNode, depth: int = 0) -> bool:
    if isinstance(value, dict) and node.values is not None:
        return not value
    if name in IN_PLACE:
        return IN_PLACE[name](value, parent, kind)
    if is_default(name, value) and not isinstance(value, dict):
        return True
    return (
        isinstance(value, dict)
        and depth < DEEPEST
        and all(
            _says_itself(key, child, value, kind, node.fields.get(key) or UNKNOWN, depth + 1)
            for key, child in value.items()
        )
    )


def follows(live: Object, desired: Object, path: Segments) -> bool:
    """True where the value comes with another field's, whoever is noted as the one that wrote it."""
    name, value = path[-1], resolve(live, path)
    if live.get("kind") == "Service" and path[0] == "spec":
        declared_type = resolve(desired, ("spec", "type"))
        if name in ("nodePort", "healthCheckNodePort", "allocateLoadBalancerNodePorts"):
            return declared_type not in WITH_NODE_PORTS
        if name in ("externalTrafficPolicy", "internalTrafficPolicy"):
            return bool(value == "Cluster")
        return name == "sessionAffinityConfig" and value == AFFINITY
    parent = resolve(live, path[:-1])
    return name == "serviceAccount" and isinstance(parent, dict) and value == parent.get("serviceAccountName")


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
