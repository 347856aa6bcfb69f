"""The drifts that the benchmarks cause, as another client would: one PATCH with a field manager of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.independent import Name
from benchmarks.objects import COLLECTIONS
from services.kube.objects import Object

MANAGER = "somebody"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Drift:
    """One PATCH of one declared object, and how to tell whether the declared value stands there."""

    name: Name
    what: str
    content_type: str
    body: Any
    is_right: Callable[[Object], bool]

    @property
    def path(self) -> str:
        return f"{COLLECTIONS[self.name[0]]}/{self.name[1]}?fieldManager={MANAGER}"


@dataclass
class Return:
    """Watches one object leave its declared state and come back; `left_at` is Unix time, None before it left."""

    drift: Drift
    left_at: float | None = None

    def __call__(self, obj: Object) -> bool:
        """True for the first state that is right again."""
        right = self.drift.is_right(obj)
        if self.left_at is None and not right:
            self.left_at = time.time()
        return right and self.left_at is not None


def drift_of(obj: Object, number: int) -> Drift:
    """A drift of a declared object; Deployments are scaled and given another image in turn."""
    name = (str(obj["kind"]), str(obj["metadata"]["name"]))
    if obj["kind"] == "ConfigMap":
        return _data(name, obj)
    return _scale(name, obj) if number % 2 else _image(name, obj)


def _data(name: Name, obj: Object) -> Drift:
    declared = obj["data"]["setting-3"]
    body = {"data": {"setting-3": "changed by hand"}}
    return Drift(name, "data", MERGE, body, lambda live: bool(live["data"].get("setting-3") == declared))


def _scale(name: Name, obj: Object) -> Drift:
    declared = obj["spec"]["replicas"]
    body = {"spec": {"replicas": declared + 2}}
    return Drift(name, "scale", MERGE, body, lambda live: bool(live["spec"]["replicas"] == declared))


def _image(name: Name, obj: Object) -> Drift:
    declared = obj["spec"]["template"]["spec"]["containers"][0]["image"]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": declared + "-hotfix"}]}}}}

    def is_right(live: Object) -> bool:
        return bool(live["spec"]["template"]["spec"]["containers"][0]["image"] == declared)

    return Drift(name, "image", STRATEGIC, body, is_right)
