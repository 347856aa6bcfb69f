"""A live object as somebody would have declared it: what people and their tools wrote, without what came by itself.

managedFields says who wrote a field. Kept is what a manager other than Kubernetes' own and known operators owns; a
field that nobody owns is a default or a webhook's, and whoever applies the file gets it again. After a plain create,
though, the creator owns the defaults as well: what looks like one is taken out, and put back where a dry-run create of
the rest does not bring it. All pure; `services/kube/captures/capture.py` asks the server.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.kube.comparison.defaults import is_default
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import LAST_APPLIED, Object, managed_fields, metadata_of, strip
from services.kube.writers.ownership import step_for
from services.kube.writers.trust import is_controller

TOOLS_NOTES = frozenset(
    {
        LAST_APPLIED, "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation",
        "kubernetes.io/metadata.name", "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics", "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller", "volume.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/selected-node", "volume.beta.kubernetes.io/storage-provisioner",
        "batch.kubernetes.io/job-tracking",
    }
)  # fmt: skip
OF_ONE_JOB = frozenset(
    {"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"}
)
Sets = Sequence[Mapping[str, Any]]  # of FieldsV1

HEAD = ("apiVersion", "kind", "metadata")
ALLOCATED = ("clusterIP", "clusterIPs", "healthCheckNodePort")
CHOSEN = ("clusterIP", "clusterIPs", "nodePort")  # the server allocates any, so a new one never has the same
EMPTY_BY_DEFAULT = frozenset({"resources", "securityContext", "strategy"})
SERVERS_FINALIZER = re.compile(r"kubernetes|foregroundDeletion|orphan|(.*\.)?(kubernetes|k8s)\.io/.*")
TOKEN_VOLUME = "kube-api-access-"
ADMITTED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
OF_SCHEDULED_PODS = ("nodeName", "priority", "preemptionPolicy")


def cleaned(live: Object) -> Object | None:
    """What people and their tools wrote; None for an object that only controllers have written.

    What has no managedFields, since somebody wiped them, is kept whole.
    """
    theirs = _theirs(live)
    tracked = any(entry.get("fieldsV1") for entry in managed_fields(live))
    return _manifest(live, [entry["fieldsV1"] for entry in theirs]) if theirs or not tracked else None


def _theirs(live: Object) -> list[Object]:
    """The entries of whoever is no controller, subresources aside."""
    entries = [entry for entry in managed_fields(live) if not entry.get("subresource") and entry.get("fieldsV1")]
    return [entry for entry in entries if not is_controller(str(entry.get("manager")))]


def whole(live: Object) -> Object:
    """Everything, whoever wrote it, less what belongs to this one object on this one server."""
    return _manifest(live, [])


def _manifest(live: Object, theirs: Sets) -> Object:
    bare = strip(live)
    kept = owned(bare, theirs) if theirs else bare
    body = {name: value for name, value in kept.items() if name not in HEAD}
    head = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": _metadata(live, theirs)}
    return {**head, **_without_kinds_own(str(live["kind"]), body, live)}


def owned(value: Any, fields: Sets) -> Any:
    """The part of a value that some sets of FieldsV1 name together; a leaf is taken with all below it."""
    deep = [one for one in fields if any(step != "." for step in one)]
    if not isinstance(value, dict | list) or (not deep and not all(fields)):
        return value
    if isinstance(value, dict):
        found = {name: [one[f"f:{name}"] for one in deep if f"f:{name}" in one] for name in value}
        return {name: owned(value[name], below) for name, below in found.items() if below}
    items = []
    for index, item in enumerate(value):
        below = [one[step] for one in deep if (step := step_for(one, value, str(index))) is not None]
        if below:
            items.append(owned(item, below))
    return items


def bare(manifest: Object, live: Object, node: SchemaNode = UNKNOWN) -> Object:
    """The manifest less what looks like a default in it; whether the server would put it there is another question.

    What somebody applied server-side was meant, and stays: a plain write alone makes its manager the owner of defaults.
    """
    meant = [entry["fieldsV1"] for entry in _theirs(live) if entry.get("operation") == "Apply"]
    return {**less_defaults(manifest, node, meant), **{name: manifest[name] for name in HEAD}}


def less_defaults(value: Any, node: SchemaNode = UNKNOWN, meant: Sets = ()) -> Any:
    """The value less what looks like a default in it and none of the sets `meant` names.

    Items of lists stay, and so does what is chosen by being empty, such as `emptyDir: {}`.
    """
    if isinstance(value, list):
        places = [[one[step] for one in meant if (step := step_for(one, value, str(at)))] for at in range(len(value))]
        items = node.items or UNKNOWN
        return [less_defaults(item, items, below) for item, below in zip(value, places, strict=True)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, child in value.items():
        below = node.fields.get(name) or node.values or UNKNOWN
        sets = [one[f"f:{name}"] for one in meant if f"f:{name}" in one]
        inner = less_defaults(child, below, sets)
        emptied = inner in ({}, []) and (child not in ({}, []) or name in EMPTY_BY_DEFAULT)
        plain = not isinstance(child, dict) and child not in (None, "", [])
        default = (plain and is_default(name, child)) or child == below.default
        if sets or (not emptied and (not default or name in CHOSEN)):
            kept[name] = child if not all(sets) else inner
    return kept


def restored(full: Any, less: Any, created: Any) -> Any:
    """`less`, with what the server did not put there by itself taken from `full` again."""
    if isinstance(full, dict) and isinstance(less, dict):
        made = created if isinstance(created, dict) else {}
        return {
            name: restored(child, less[name], made.get(name)) if name in less else child
            for name, child in full.items()
            if name in less or not covers(made.get(name), child)
        }
    if isinstance(full, list) and isinstance(less, list) and isinstance(created, list) and len(created) == len(full):
        return [restored(*parts) for parts in zip(full, less, created, strict=True)]
    return full


def covers(created: Any, wanted: Any) -> bool:
    """True where all of `wanted` is in `created`."""
    if isinstance(wanted, dict) and isinstance(created, dict):
        return all(name in created and covers(created[name], child) for name, child in wanted.items())
    return bool(created == wanted)


def _metadata(live: Object, theirs: Sets) -> Object:
    metadata = metadata_of(live)
    kept: Object = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    sets = [one["f:metadata"] for one in theirs if isinstance(one.get("f:metadata"), Mapping)]
    for group in ("labels", "annotations"):
        values = metadata.get(group)
        if isinstance(values, dict):
            below = [one[f"f:{group}"] for one in sets if f"f:{group}" in one]
            found = values if not theirs else owned(values, below) if below else {}
            bare = {name: text for name, text in found.items() if name not in TOOLS_NOTES}
            if bare:
                kept[group] = bare
    below = [one["f:finalizers"] for one in sets if "f:finalizers" in one]
    finalizers = owned(metadata.get("finalizers") or [], below) if below else []
    chosen = [name for name in finalizers if not SERVERS_FINALIZER.fullmatch(str(name))]
    return {**kept, "finalizers": chosen} if chosen else kept


def _without_kinds_own(kind: str, body: Object, live: Object) -> Object:
    """Less what admission and controllers write into a spec in the creator's own name."""
    spec = body.get("spec")
    if not isinstance(spec, dict):
        return body
    if kind == "Namespace":
        return {name: value for name, value in body.items() if name != "spec"}
    if kind == "Service" and spec.get("clusterIP") != "None":
        return {**body, "spec": {name: value for name, value in spec.items() if name not in ALLOCATED}}
    if kind == "Job" and not spec.get("manualSelector"):
        return {**body, "spec": _job(spec)}
    if kind == "Pod":
        return {**body, "spec": _pod(spec)}
    if kind == "PersistentVolumeClaim":
        bound = "pv.kubernetes.io/bound-by-controller" in (metadata_of(live).get("annotations") or {})
        return {**body, "spec": {name: value for name, value in spec.items() if not (bound and name == "volumeName")}}
    return body


def _job(spec: Object) -> Object:
    bare = {name: value for name, value in spec.items() if name != "selector"}
    template = spec.get("template")
    metadata = template.get("metadata") if isinstance(template, dict) else None
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if isinstance(template, dict) and isinstance(metadata, dict) and isinstance(labels, dict):
        kept = {name: text for name, text in labels.items() if name not in OF_ONE_JOB}
        rest = {name: value for name, value in metadata.items() if name != "labels"}
        above = {**rest, "labels": kept} if kept else rest
        others = {name: value for name, value in template.items() if name != "metadata"}
        bare["template"] = {**({"metadata": above} if above else {}), **others}
    return bare


def _pod(spec: Object) -> Object:
    bare = {name: value for name, value in spec.items() if name not in OF_SCHEDULED_PODS}
    for group in ("containers", "initContainers"):
        if isinstance(bare.get(group), list):
            bare[group] = [_without_tokens(container, "volumeMounts") for container in bare[group]]
    bare = _without_tokens(bare, "volumes")
    kept = [one for one in bare.get("tolerations") or () if one.get("key") not in ADMITTED]
    bare.pop("tolerations", None)
    return {**bare, "tolerations": kept} if kept else bare


def _without_tokens(value: Object, group: str) -> Object:
    items = value.get(group)
    if not isinstance(items, list):
        return value
    kept = [item for item in items if not str(item.get("name")).startswith(TOKEN_VOLUME)]
    rest = {name: child for name, child in value.items() if name != group}
    return {**rest, group: kept} if kept else rest
