"""Which Application of Argo CD an object belongs to, by what Argo CD wrote on it.

The tracking annotation must name the very object that carries it: controllers copy annotations to what they make. A
label is only a hint, since others use the same one: an Application of that name has to exist, and to list the object
where it lists any. Several of one name are none.
Source: argo-cd docs/user-guide/resource_tracking.md.
"""

from typing import Any

from schemas.target import Target
from services.kube.api.errors import Forbidden, Invalid, NotFound
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve

APPLICATION = ("argoproj.io", "Application")
TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")


async def application_of(api: Operate, target: Target, live: Object) -> tuple[Target | None, str]:
    """The Application, and why there is none where that is not plain: "" where nothing speaks of one."""
    if not api.served(*APPLICATION):
        return None, ""
    tracked = tracked_by(target, live)
    if tracked:
        return await _only(api, *tracked, target=None)
    labels = metadata_of(live).get("labels") or {}
    name = next((str(labels[label]) for label in INSTANCE if labels.get(label)), "")
    return await _only(api, "", name, target=target) if name else (None, "")


def tracked_by(target: Target, live: Object) -> tuple[str, str] | None:
    """Namespace ("" where it is Argo CD's own) and name of the Application that the object's annotation names."""
    noted = resolve(metadata_of(live), ("annotations", TRACKING))
    application, _, rest = str(noted or "").partition(":")
    if rest != f"{target.group}/{target.kind}:{target.namespace}/{target.name}":
        return None
    namespace, _, name = application.rpartition("_")
    return namespace, name


async def _only(api: Operate, namespace: str, name: str, *, target: Target | None) -> tuple[Target | None, str]:
    try:
        found = await api.list(*APPLICATION, namespace, fields=f"metadata.name={name}")
    except (Forbidden, NotFound, Invalid) as error:  # Invalid: anybody may have written the annotation
        return None, f"Applications cannot be listed: {error.message}"
    named = [one for one in found if metadata_of(one)["name"] == name]
    fitting = [one for one in named if target is None or _may_own(one, target)]
    if len(fitting) != 1:
        names = ", ".join(sorted(f"{metadata_of(one)['namespace']}/{name}" for one in fitting))
        return None, f"several Applications could own it: {names}" if fitting else ""
    metadata = metadata_of(fitting[0])
    group, kind = APPLICATION
    return Target(
        cluster=api.name, group=group, kind=kind, namespace=metadata["namespace"], name=name, uid=metadata["uid"]
    ), ""  # fmt: skip


def _may_own(application: Object, target: Target) -> bool:
    listed = resolve(application, ("status", "resources"))
    return not isinstance(listed, list) or any(_is(one, target) for one in listed)


def _is(entry: Any, target: Target) -> bool:
    wanted = {"group": target.group, "kind": target.kind, "namespace": target.namespace, "name": target.name}
    return isinstance(entry, dict) and all((entry.get(name) or "") == value for name, value in wanted.items())
