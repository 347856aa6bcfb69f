"""The declared state that a chaos test keeps: ConfigMaps, Secrets and Deployments in a namespace of the test's own.

What holds is judged here by plain comparison, with none of the product's code: the test must not share its mistakes.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.kube.objects import Object

CONFIG_MAPS, SECRETS, DEPLOYMENTS, OBSERVED = 32, 12, 12, 4
LABELS = {"app.kubernetes.io/part-of": "chaos", "tier": "test"}
PATHS = {"ConfigMap": "/api/v1", "Secret": "/api/v1", "Deployment": "/apis/apps/v1"}
PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets", "Deployment": "deployments"}


@dataclass(frozen=True)
class Thing:
    """One declared object. One that is only observed is never put back."""

    kind: str
    namespace: str
    name: str
    manifest: Object
    observed: bool = False

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return f"{collection(self.kind, self.namespace)}/{self.name}"

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.kind, self.namespace, self.name


@dataclass(frozen=True)
class Estate:
    """Everything that is declared. `marker` is in every Secret's value, declared or drifted, and nowhere else."""

    namespace: str
    marker: str
    things: tuple[Thing, ...]

    def write(self, folder: Path) -> None:
        """Manifests, baseline and policies, as a user would keep them."""
        (folder / "namespace").mkdir(parents=True)
        (folder / "objects").mkdir()
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        (folder / "namespace" / "namespace.yaml").write_text(yaml.safe_dump(namespace))
        (folder / "objects" / "all.yaml").write_text(yaml.safe_dump_all(thing.manifest for thing in self.things))
        (folder / "baselines.yml").write_text(yaml.safe_dump(_baseline()))
        (folder / "policies.yml").write_text(yaml.safe_dump_all(_policies()))


def collection(kind: str, namespace: str) -> str:
    """The API path of all objects of a kind."""
    return f"{PATHS[kind]}/namespaces/{namespace}/{PLURALS[kind]}"


def encoded(text: str) -> str:
    """As the `data` of a Secret has it."""
    return base64.b64encode(text.encode()).decode()


def make_estate(namespace: str, marker: str) -> Estate:
    """The same for the same names."""
    things = [_config_map(namespace, f"settings-{number:02}") for number in range(CONFIG_MAPS)]
    things += [_config_map(namespace, f"observed-{number}", observed=True) for number in range(OBSERVED)]
    things += [_secret(namespace, f"login-{number:02}", marker) for number in range(SECRETS)]
    things += [_deployment(namespace, f"web-{number:02}") for number in range(DEPLOYMENTS)]
    return Estate(namespace, marker, tuple(things))


def holds(thing: Thing, live: Object | None) -> bool:
    """Whether an object is exactly as declared, in everything that the storm touches."""
    if live is None or "deletionTimestamp" in live["metadata"]:
        return False
    if any(live["metadata"].get("labels", {}).get(name) != value for name, value in LABELS.items()):
        return False
    if thing.kind != "Deployment":
        return bool(live.get("data") == thing.manifest["data"])
    wanted, found = thing.manifest["spec"], live["spec"]
    (container,), (running,) = wanted["template"]["spec"]["containers"], found["template"]["spec"]["containers"]
    same = all(container[name] == running.get(name) for name in ("image", "env"))
    return bool(same and wanted["replicas"] == found["replicas"])


def _config_map(namespace: str, name: str, observed: bool = False) -> Thing:
    data = {"mode": "steady", "limit": "10", "owner": name}
    return Thing("ConfigMap", namespace, name, _object("v1", "ConfigMap", namespace, name, data=data), observed)


def _secret(namespace: str, name: str, marker: str) -> Thing:
    data = {"password": encoded(f"{marker}-declared-{name}"), "user": encoded(f"{marker}-user-{name}")}
    return Thing("Secret", namespace, name, _object("v1", "Secret", namespace, name, type="Opaque", data=data))


def _deployment(namespace: str, name: str) -> Thing:
    container = {"name": "app", "image": "registry.test/app:1", "env": [{"name": "MODE", "value": "steady"}]}
    pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return Thing("Deployment", namespace, name, _object("apps/v1", "Deployment", namespace, name, spec=spec))


def _object(version: str, kind: str, namespace: str, name: str, **rest: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": dict(LABELS)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _baseline() -> Object:
    spec = {"source": {"folder": "./objects"}, "manager": "deployer"}
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "chaos"}, "spec": spec}


def _policies() -> list[Object]:
    trigger = {"drift": {"baseline": "chaos"}}
    step = {"revert": {"timeout": "20s"}, "verify": {"within": "5s", "until": ["inSync"]}}
    specs = {
        "a-observe": {"trigger": trigger, "match": {"name": ["observed-*"]}, "mode": "observe"},
        "b-heal": {"trigger": trigger, "do": [step], "mode": "enforce"},
    }
    return [
        {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name}, "spec": spec}
        for name, spec in specs.items()
    ]
