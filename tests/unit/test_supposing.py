"""What an alert is about where no cluster can be asked: the surest word wins, and what is assumed is told."""

from typing import Any

import pytest

from schemas.alerts import ALERT_GROUP, AlertFired
from schemas.ledger import Place
from schemas.target import Target
from services.reconciler.policies.supposing import suppose, target_of
from tests.reconciler_kit import target_of as named
from tests.rehearsing import POD, WEB, alert

NODE = Target(cluster="c1", group="", kind="Node", namespace="", name="n1")
OWNER = Target(cluster="c1", group="apps", kind="StatefulSet", namespace="shop", name="db")


def pod(name: str) -> Target:
    return POD.model_copy(update={"name": name})


@pytest.mark.parametrize(
    ("fired", "acted_on", "place", "assumed"),
    [
        pytest.param(alert(target=WEB), (), Place(object=WEB, workload=WEB), False, id="a workload itself"),
        pytest.param(alert(target=NODE), (), Place(object=NODE, node=NODE), False, id="a node itself"),
        pytest.param(alert(), (OWNER,), Place(object=POD, pod=POD, workload=OWNER), False, id="acted on before"),
        pytest.param(alert(labels={"statefulset": "db", "node": "n1"}), (),
                     Place(object=POD, pod=POD, workload=OWNER, node=NODE), False, id="labels"),
        pytest.param(alert(), (), Place(object=POD, pod=POD, workload=WEB), True, id="a Deployment's pod by its name"),
        pytest.param(alert(target=pod("db-0")), (), Place(object=pod("db-0"), pod=pod("db-0"), workload=OWNER), True,
                     id="a StatefulSet's pod by its name"),
        pytest.param(alert(target=pod("toolbox")), (), Place(object=pod("toolbox"), pod=pod("toolbox")), False,
                     id="a pod by itself"),
        pytest.param(alert(target=named("x").model_copy(update={"group": ALERT_GROUP, "kind": "Alert"})), (), Place(),
                     False, id="about no object"),
    ],
)  # fmt: skip
def test_the_surest_word_wins(fired: AlertFired, acted_on: Any, place: Place, assumed: bool) -> None:
    """Names of pods come last, and only they are an assumption."""
    assert suppose(fired, acted_on) == (place, assumed)


@pytest.mark.parametrize("cluster", ["c1", "arn:aws:eks:1:2:cluster/east"])
@pytest.mark.parametrize("target", [WEB, NODE], ids=["namespaced", "cluster-scoped"])
def test_a_subject_is_read_from_its_end(cluster: str, target: Target) -> None:
    """A cluster's name may have slashes of its own."""
    meant = target.model_copy(update={"cluster": cluster})
    assert target_of(meant.subject) == meant
