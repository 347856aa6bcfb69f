"""Helm releases as Helm stores them, for tests: no Helm binary is needed to write one."""

import base64
import gzip
from typing import Any

import orjson
import yaml

from services.kube.objects import Object


def encoded(release: Any, *, zipped: bool = True) -> str:
    """What Helm puts into a release's storage: JSON, gzipped, in base64."""
    raw = orjson.dumps(release)
    return base64.b64encode(gzip.compress(raw) if zipped else raw).decode()


def release(name: str, revision: int, *manifests: Object, hooks: tuple[Object, ...] = (), **more: Any) -> Object:
    """The parts of Helm's release that matter here."""
    text = "".join(f"---\n# Source: {name}/templates/some.yaml\n{yaml.safe_dump(manifest)}" for manifest in manifests)
    hook_list = [{"name": hook["metadata"]["name"], "manifest": yaml.safe_dump(hook)} for hook in hooks]
    return {"name": name, "version": revision, "manifest": text, "hooks": hook_list, **more}


def stored(
    namespace: str, name: str, revision: int, payload: str, *, status: str = "deployed", secret: bool = True
) -> Object:
    """The Secret or ConfigMap of one revision."""
    labels = {"owner": "helm", "name": name, "status": status, "version": str(revision)}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{revision}", "namespace": namespace, "labels": labels}
    if not secret:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"release": payload}}
    data = {"release": base64.b64encode(payload.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": metadata, "data": data}
