"""Replicas that nobody is noted for: whose they may be is read from the autoscalers of the namespace."""

from typing import Any, cast

import pytest

from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue, Resource
from services.kube.api.errors import Forbidden
from services.kube.api.session import Session
from services.kube.objects import Object, ObjectKey
from services.kube.pointer import FieldDiff
from services.kube.verdict.autoscaled import REPLICAS, without_autoscaled

KEY = ObjectKey("apps", "Deployment", "shop", "web")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
VERBS = frozenset({"list"})
AUTOSCALERS = Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, VERBS)
KEDA = Resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects", True, VERBS)


class Lists:
    """A session that answers LISTs by path, and notes them; a path without list is forbidden."""

    def __init__(self, lists: dict[str, list[Object]]) -> None:
        self.lists, self.asked = lists, list[str]()

    async def request(self, method: str, path: str, **_: Any) -> Object:
        self.asked.append(path)
        if path not in self.lists:
            raise Forbidden("no", 403)
        return {"metadata": {"resourceVersion": "1"}, "items": self.lists[path]}


def asked(lists: dict[Resource, list[Object]], *served: Resource) -> tuple[Cluster, Lists]:
    session = Lists({resource.path("shop"): [{"spec": spec} for spec in specs] for resource, specs in lists.items()})
    return Cluster("test", cast(Session, session), Catalogue(list(served or lists))), session


def live(replicas: Any = 4, *entries: Object) -> Object:
    return {"metadata": {"name": "web", "managedFields": list(entries)}, "spec": {"replicas": replicas}}


def owned(manager: str) -> Object:
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def differs(replicas: Any = 4) -> FieldDiff:
    return FieldDiff(REPLICAS, "changed", 2, replicas)


@pytest.mark.parametrize(
    ("resource", "spec", "replicas", "excused"),
    [
        pytest.param(AUTOSCALERS, {"maxReplicas": 4}, 4, True, id="up-to-its-most"),
        pytest.param(AUTOSCALERS, {"maxReplicas": 3}, 4, False, id="above-its-most"),
        pytest.param(AUTOSCALERS, {"minReplicas": 5, "maxReplicas": 9}, 4, False, id="below-its-least"),
        pytest.param(AUTOSCALERS, {"maxReplicas": 9}, 0, False, id="zero-switches-it-off"),
        pytest.param(AUTOSCALERS, {"minReplicas": 0, "maxReplicas": 9}, 0, True, id="zero-is-its-least"),
        pytest.param(KEDA, {}, 0, True, id="keda-goes-to-zero"),
        pytest.param(KEDA, {"minReplicaCount": 1}, 0, False, id="keda-told-not-to"),
        pytest.param(KEDA, {"maxReplicaCount": 3}, 4, False, id="above-kedas-most"),
        pytest.param(AUTOSCALERS, {"maxReplicas": 9}, "four", False, id="no-number"),
        pytest.param(AUTOSCALERS, {"maxReplicas": 9, "scaleTargetRef": {**TARGET, "name": "x"}}, 4, False, id="other"),
        pytest.param(
            AUTOSCALERS, {"maxReplicas": 9, "scaleTargetRef": {**TARGET, "apiVersion": "apps/v1beta2"}}, 4, True,
            id="another-version",
        ),
        pytest.param(KEDA, {"scaleTargetRef": {"name": "web"}}, 4, True, id="keda-means-deployments"),
        pytest.param(KEDA, {"scaleTargetRef": {"name": "web", "kind": "StatefulSet"}}, 4, False, id="another-kind"),
        pytest.param(AUTOSCALERS, {"maxReplicas": 9, "scaleTargetRef": None}, 4, False, id="no-target"),
    ],
)  # fmt: skip
async def test_only_what_an_autoscaler_may_choose_is_excused(
    resource: Resource, spec: Object, replicas: Any, excused: bool
) -> None:
    """It targets the object, and the number is within its bounds."""
    cluster, _ = asked({resource: [{"scaleTargetRef": TARGET, **spec}]})
    found = await without_autoscaled(cluster, KEY, live(replicas), [differs(replicas)])
    assert found == (([], (REPLICAS,)) if excused else ([differs(replicas)], ()))


@pytest.mark.parametrize(
    ("diffs", "entries"),
    [
        pytest.param([], [], id="no-difference"),
        pytest.param([FieldDiff("/spec/paused", "changed", False, True)], [], id="another-field"),
        pytest.param([FieldDiff(REPLICAS, "removed", 2, None)], [], id="removed"),
        pytest.param([differs()], [owned("kubectl")], id="somebody-is-noted"),
    ],
)
async def test_nothing_is_asked_without_need(diffs: list[FieldDiff], entries: list[Object]) -> None:
    """A LIST a verdict would be dear, so only replicas of nobody are worth one."""
    cluster, session = asked({AUTOSCALERS: [{"scaleTargetRef": TARGET, "maxReplicas": 9}]})
    assert await without_autoscaled(cluster, KEY, live(4, *entries), diffs) == (diffs, ())
    assert session.asked == []


async def test_who_may_not_list_autoscalers_sees_none() -> None:
    """The difference stands, and the other kind is still asked."""
    cluster, session = asked({KEDA: [{"scaleTargetRef": TARGET}]}, AUTOSCALERS, KEDA)
    assert await without_autoscaled(cluster, KEY, live(), [differs()]) == ([], (REPLICAS,))
    assert len(session.asked) == 2
    cluster, _ = asked({}, AUTOSCALERS, KEDA)
    assert await without_autoscaled(cluster, KEY, live(), [differs()]) == ([differs()], ())


async def test_other_differences_stay() -> None:
    """Only the replicas are left to the autoscaler."""
    image = FieldDiff("/spec/template/spec/containers/0/image", "changed", "a", "b")
    cluster, _ = asked({AUTOSCALERS: [{"scaleTargetRef": TARGET, "maxReplicas": 9}]})
    assert await without_autoscaled(cluster, KEY, live(), [image, differs()]) == ([image], (REPLICAS,))
