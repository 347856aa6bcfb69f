"""What the benchmarks' clusters hold: ConfigMaps and Deployments of a usual size, as files and as live objects."""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from services.kube.objects import Object
from services.runtime.errors import Permanent

NAMESPACE = "bench"
DEPLOYER = "deployer"
AT_ONCE = 32
A_FILE = 50  # manifests in one file
COLLECTIONS = {
    "ConfigMap": f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    "Deployment": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
}
BASELINE = """\
apiVersion: setpoint.dev/v1alpha1
kind: Baseline
metadata: {name: bench}
spec:
  source: {folder: ./platform}
  manager: deployer
"""
POLICY = """\
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: heal}
spec:
  trigger: {drift: {baseline: bench}}
  do: [{revert: {timeout: 30s}, verify: {within: 10s, until: [inSync]}}]
  mode: enforce
"""


def config_map(number: int) -> Object:
    """Some settings of an application, 0.8 KB."""
    data = {f"setting-{at}": f"value {at} of application {number}, as its team wants it" for at in range(8)}
    data["checksum"] = _digest("settings", number)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(f"settings-{number}"), "data": data}


def deployment(number: int, replicas: int) -> Object:
    """A web application with probes and limits. One without replicas is paused too, so that no controller works."""
    labels = {"app.kubernetes.io/name": f"app-{number}"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    image = f"registry.example/team/app-{number}@sha256:{_digest('image', number)}"
    container = {
        "name": "app", "image": image, "ports": [{"containerPort": 8080}],
        "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-central-1"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": probe, "livenessProbe": probe,
    }  # fmt: skip
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    if not replicas:
        spec["paused"] = True
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(f"app-{number}"), "spec": spec}


def mixture(count: int, *, deployments: float, replicas: int = 0) -> Iterator[Object]:
    """`count` objects, the given share of them Deployments, evenly mixed."""
    for number in range(count):
        is_deployment = int((number + 1) * deployments) > int(number * deployments)
        yield deployment(number, replicas) if is_deployment else config_map(number)


def write_files(folder: Path, objects: Iterable[Object]) -> None:
    """A baseline of `objects` in YAML and a policy that corrects it, replacing what was there."""
    platform = folder / "platform"
    platform.mkdir(parents=True, exist_ok=True)
    for old in platform.iterdir():
        old.unlink()
    listed = list(objects)
    for start in range(0, len(listed), A_FILE):
        documents = yaml.dump_all(listed[start : start + A_FILE], Dumper=yaml.CSafeDumper)
        (platform / f"part-{start:05}.yaml").write_text(documents, encoding="utf-8")
    (folder / "baselines.yaml").write_text(BASELINE, encoding="utf-8")
    (folder / "policies.yaml").write_text(POLICY, encoding="utf-8")


async def create_namespace(session: aiohttp.ClientSession) -> None:
    """The one in which everything is."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await send(session, "POST", "/api/v1/namespaces", body)


async def create_all(session: aiohttp.ClientSession, objects: Iterable[Object]) -> None:
    """Create live objects as the baseline's deployer, many at once."""
    waiting = iter(objects)

    async def worker() -> None:
        for obj in waiting:
            await send(session, "POST", f"{COLLECTIONS[obj['kind']]}?fieldManager={DEPLOYER}", obj)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def send(
    session: aiohttp.ClientSession, method: str, path: str, body: Any, content_type: str = "application/json"
) -> Object:
    """One request; its answer. Permanent for any but a good one."""
    headers = {"content-type": content_type}
    async with session.request(method, path, data=orjson.dumps(body), headers=headers) as answer:
        raw = await answer.read()
    if answer.status >= 400:
        raise Permanent(f"{method} {path} was answered {answer.status}: {raw[:300].decode(errors='replace')}")
    found: Object = orjson.loads(raw)
    return found


def _digest(what: str, number: int) -> str:
    """Text that does not compress, as real objects have it."""
    return hashlib.sha256(f"{what} {number}".encode()).hexdigest()


def _metadata(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "bench", "app.kubernetes.io/managed-by": DEPLOYER}
    return {"name": name, "namespace": NAMESPACE, "labels": labels}
