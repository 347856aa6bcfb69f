"""From what an alert names to what can be acted on: found by uid, never guessed."""

import asyncio
from typing import Any

import pytest

from schemas.alerts import ALERT_GROUP, ALERT_KIND, AlertFired, Severity
from schemas.events import Reason
from schemas.ledger import Place
from schemas.target import Target
from services.kube.api.errors import Forbidden, TimedOut, Unavailable
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.reconciler.acting.lineage import Line, Lines
from services.reconciler.acting.resolving import resolve
from tests.fake_api import FakeSession, fake_api, served
from tests.fakes import NOON, StillClock

KINDS = served(
    ("v1", "Pod", "pods", True), ("v1", "Node", "nodes", False), ("v1", "Namespace", "namespaces", False),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", True), ("apps/v1", "Deployment", "deployments", True),
    ("apps/v1", "ReplicaSet", "replicasets", True), ("apps/v1", "StatefulSet", "statefulsets", True),
    ("batch/v1", "Job", "jobs", True), ("batch/v1", "CronJob", "cronjobs", True),
    ("argoproj.io/v1alpha1", "Application", "applications", True),
    ("kafka.strimzi.io/v1", "KafkaConnector", "kafkaconnectors", True),
    ("core.strimzi.io/v1", "StrimziPodSet", "strimzipodsets", True),
    ("a.example.org/v1", "Gadget", "gadgets", True), ("b.example.org/v1", "Gadget", "gadgets", True),
    ("b.example.org/v1", "Lamp", "lamps", True),
)  # fmt: skip
OTHER_UID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def server() -> tuple[Operate, FakeSession]:
    return fake_api(KINDS)


def thing(api_version: str, kind: str, name: str, owner: Object | None = None, **more: Any) -> Object:
    metadata: Object = {"name": name, "namespace": "pay", **more.pop("metadata", {})}
    if owner is not None:
        entry = {name: owner[name] for name in ("apiVersion", "kind")}
        entry |= {name: owner["metadata"][name] for name in ("name", "uid")}
        metadata["ownerReferences"] = [{**entry, "controller": True}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def about(
    kind: str, name: str, group: str = "", namespace: str = "pay", uid: str | None = None, **labels: str
) -> AlertFired:
    target = Target(cluster="prod", group=group, kind=kind, namespace=namespace, name=name, uid=uid)
    return AlertFired(
        alert_id="a", target=target, source="test", sender="t", name="Broken", severity=Severity.WARNING, lasting=True,
        onset=NOON, fired_at=NOON, labels=labels,
    )  # fmt: skip


def deployed(session: FakeSession, pods: int = 1, **more: Any) -> Object:
    """A Deployment with pods; the Deployment."""
    top = session.put(thing("apps/v1", "Deployment", "web", **more))
    middle = session.put(thing("apps/v1", "ReplicaSet", "web-7c", top))
    for number in range(pods):
        session.put(thing("v1", "Pod", f"web-7c-{number}", middle, spec={"nodeName": "n1"}))
    return top


def names(place: Place) -> dict[str, str]:
    """What a place found, as `Kind/name`."""
    found = {name: getattr(place, name) for name in ("object", "pod", "workload", "node", "application")}
    return {name: f"{target.kind}/{target.name}" for name, target in found.items() if target is not None}


async def test_a_pod_leads_to_its_deployment_and_its_node(server: tuple[Operate, FakeSession]) -> None:
    """The workload carries its own uid, so that an action can tell it from a later one of that name."""
    top = deployed(server[1])
    place = await resolve(server[0], about("Pod", "web-7c-0"))
    assert names(place) == {
        "object": "Pod/web-7c-0", "pod": "Pod/web-7c-0", "workload": "Deployment/web", "node": "Node/n1"
    }  # fmt: skip
    pod = server[1].objects["/api/v1/namespaces/pay/pods/web-7c-0"]
    uids = [target.uid for target in (place.workload, place.object) if target]
    assert uids == [top["metadata"]["uid"], pod["metadata"]["uid"]]


@pytest.mark.parametrize(
    ("chain", "workload"),
    [
        pytest.param([("apps/v1", "StatefulSet")], "StatefulSet/it", id="stateful set"),
        pytest.param([("core.strimzi.io/v1", "StrimziPodSet")], "StrimziPodSet/it", id="an operator's own set"),
        pytest.param([("batch/v1", "Job")], "Job/it", id="a job alone"),
        pytest.param([("batch/v1", "CronJob"), ("batch/v1", "Job")], "CronJob/it", id="cron job"),
        pytest.param([("apps/v1", "ReplicaSet")], "ReplicaSet/it", id="a replica set alone"),
        pytest.param(
            [("b.example.org/v1", "Lamp"), ("apps/v1", "StatefulSet")], "StatefulSet/it", id="an operator's set"
        ),
        pytest.param([], None, id="a bare pod"),
    ],
)
async def test_the_workload_is_the_topmost_that_runs_pods(
    server: tuple[Operate, FakeSession], chain: list[tuple[str, str]], workload: str | None
) -> None:
    """A ReplicaSet and a Job are somebody's; what an operator's own object makes is the workload itself."""
    owner = None
    for api_version, kind in chain:
        owner = server[1].put(thing(api_version, kind, "it", owner))
    server[1].put(thing("v1", "Pod", "p", owner))
    assert names(await resolve(server[0], about("Pod", "p"))).get("workload") == workload


@pytest.mark.parametrize(
    ("alert", "found"),
    [
        pytest.param(about("Node", "n1", namespace=""), {"object": "Node/n1", "node": "Node/n1"}, id="node"),
        pytest.param(about("Node", "n1"), {"object": "Node/n1", "node": "Node/n1"}, id="node and namespace"),
        pytest.param(about("Namespace", "pay", namespace=""), {"object": "Namespace/pay"}, id="namespace"),
        pytest.param(
            about("Application", "shop", "argoproj.io"),
            {"object": "Application/shop", "application": "Application/shop"}, id="application",
        ),
        pytest.param(about("KafkaConnector", "c", "kafka.strimzi.io"), {"object": "KafkaConnector/c"}, id="connector"),
        pytest.param(
            about("Deployment", "web", "apps"),
            {"object": "Deployment/web", "workload": "Deployment/web"}, id="workload",
        ),
        pytest.param(
            about("ReplicaSet", "web-7c", "apps"),
            {"object": "ReplicaSet/web-7c", "workload": "Deployment/web"}, id="what a workload made",
        ),
        pytest.param(about("Lamp", "l"), {"object": "Lamp/l"}, id="the only group with the kind"),
        pytest.param(about(ALERT_KIND, "a", ALERT_GROUP, ""), {}, id="no object"),
    ],
)  # fmt: skip
async def test_every_kind_is_found_as_what_it_is(
    server: tuple[Operate, FakeSession], alert: AlertFired, found: dict[str, str]
) -> None:
    """An alert about no object is an empty place, and no reason."""
    deployed(server[1])
    for obj in (
        thing("v1", "Node", "n1", metadata={"namespace": None}),
        thing("v1", "Namespace", "pay", metadata={"namespace": None}),
        thing("argoproj.io/v1alpha1", "Application", "shop"), thing("kafka.strimzi.io/v1", "KafkaConnector", "c"),
        thing("b.example.org/v1", "Lamp", "l"),
    ):  # fmt: skip
        server[1].put(obj)
    place = await resolve(server[0], alert)
    assert (names(place), place.reason) == (found, None)


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        pytest.param(about("Pod", "nobody"), Reason.TARGET_GONE, id="gone"),
        pytest.param(about("Pod", "web-7c-0", uid=OTHER_UID), Reason.TARGET_GONE, id="another pod has the name"),
        pytest.param(about("Pod", "web-7c-0", pod_uid=OTHER_UID), Reason.TARGET_GONE, id="a label has the uid"),
        pytest.param(about("Gadget", "g"), Reason.TARGET_AMBIGUOUS, id="a kind of two groups"),
        pytest.param(about("Deployment", "web", "apps", ""), Reason.TARGET_AMBIGUOUS, id="in two namespaces"),
        pytest.param(about("Rocket", "r"), Reason.TARGET_UNKNOWN, id="no such kind"),
        pytest.param(about("Pod", "p", "apps"), Reason.TARGET_UNKNOWN, id="no such kind in that group"),
        pytest.param(about("Pod", "../nodes"), Reason.TARGET_UNKNOWN, id="a path for a name"),
    ],
)
async def test_what_cannot_be_told_is_a_reason(
    server: tuple[Operate, FakeSession], alert: AlertFired, reason: Reason
) -> None:
    """The rest of the place is empty, and the message says something."""
    deployed(server[1])
    server[1].put(thing("apps/v1", "Deployment", "web", metadata={"namespace": "shop"}))
    place = await resolve(server[0], alert)
    assert (names(place), place.reason, bool(place.message)) == ({}, reason, True)


async def test_a_name_without_a_namespace_is_told_by_its_uid(server: tuple[Operate, FakeSession]) -> None:
    """Of two of that name the uid picks one."""
    top = deployed(server[1])
    server[1].put(thing("apps/v1", "Deployment", "web", metadata={"namespace": "shop"}))
    place = await resolve(server[0], about("Deployment", "web", "apps", "", uid=top["metadata"]["uid"]))
    assert (place.object or Target.from_subject("a/b/C/d/e")).namespace == "pay"


@pytest.mark.parametrize(
    "broken", [pytest.param(True, id="another has the owner's name"), pytest.param(False, id="the owner is gone")]
)
async def test_a_pod_whose_owner_is_another_by_now_stands_alone(
    server: tuple[Operate, FakeSession], broken: bool
) -> None:
    """The workload of a name alone could be the wrong one to restart."""
    deployed(server[1])
    path = "/apis/apps/v1/namespaces/pay/deployments/web"
    if broken:
        server[1].objects[path]["metadata"]["uid"] = OTHER_UID
    else:
        del server[1].objects[path]
    place = await resolve(server[0], about("Pod", "web-7c-0"))
    assert names(place) == {"object": "Pod/web-7c-0", "pod": "Pod/web-7c-0", "node": "Node/n1"}
    assert "Deployment pay/web is gone" in place.message


async def test_a_missing_right_is_named(server: tuple[Operate, FakeSession]) -> None:
    """The server's own words name verb and resource; the object is then unknown."""
    words = 'deployments "web" is forbidden: User "x" cannot get resource "deployments"'
    server[1].fails["/apis/apps/v1/namespaces/pay/deployments/web"] = Forbidden(words, 403)
    place = await resolve(server[0], about("Deployment", "web", "apps"))
    assert place.reason is Reason.FORBIDDEN
    assert words in place.message


async def test_a_pod_whose_owner_may_not_be_read_can_still_be_acted_on(server: tuple[Operate, FakeSession]) -> None:
    """An isolation needs no workload."""
    deployed(server[1])
    server[1].fails["/apis/apps/v1/namespaces/pay/replicasets/web-7c"] = Forbidden('User "x" cannot get', 403)
    place = await resolve(server[0], about("Pod", "web-7c-0"))
    assert (place.reason, place.workload, place.pod is not None) == (None, None, True)
    assert 'User "x" cannot get' in place.message


@pytest.mark.parametrize("error", [Unavailable("away", 503), TimedOut("slow")], ids=["away", "slow"])
@pytest.mark.parametrize(
    "path", ["/api/v1/namespaces/pay/pods/web-7c-0", "/apis/apps/v1/namespaces/pay/deployments/web"],
    ids=["the pod", "its owner"],
)  # fmt: skip
async def test_a_server_that_is_away_is_asked_again(
    server: tuple[Operate, FakeSession], path: str, error: Unavailable
) -> None:
    """No answer is neither gone nor unknown."""
    deployed(server[1])
    server[1].fails[path] = error
    with pytest.raises(type(error)):
        await resolve(server[0], about("Pod", "web-7c-0"))


async def test_a_storm_of_pods_asks_for_their_workload_once(server: tuple[Operate, FakeSession]) -> None:
    """A hundred pods at once: one GET each, and one each for the ReplicaSet and the Deployment."""
    deployed(server[1], pods=100)
    lines = Lines(StillClock())
    places = await asyncio.gather(*(resolve(server[0], about("Pod", f"web-7c-{n}"), lines) for n in range(100)))
    assert {place.workload.name for place in places if place.workload} == {"web"}
    owners = [path for _, path in server[1].asked if "/pods/" not in path and "applications" not in path]
    assert sorted(owners) == [
        "/apis/apps/v1/namespaces/pay/deployments/web", "/apis/apps/v1/namespaces/pay/replicasets/web-7c"
    ]  # fmt: skip
    assert len(server[1].asked) - len(owners) == 100


async def test_what_was_found_is_looked_up_again_after_a_while() -> None:
    """Some minutes, no longer; and what leads nowhere is never kept."""
    clock = StillClock()
    lines, found = Lines(clock, fresh_s=300), []
    web = Target(cluster="prod", group="apps", kind="Deployment", namespace="pay", name="web", uid="u")

    async def find() -> Line:
        found.append(clock.monotonic())
        return Line(web if len(found) > 1 else None)

    for wait in (0, 0, 300, 1):
        clock.advance(wait)
        await lines.get("rs", find)
    assert found == [0, 0, 301]


async def test_only_so_many_lines_are_kept() -> None:
    """The longest unused goes first."""
    lines = Lines(StillClock(), most=2)
    web = Target(cluster="prod", group="apps", kind="Deployment", namespace="pay", name="web", uid="u")

    async def find() -> Line:
        return Line(web)

    for uid in ("a", "b", "a", "c"):
        await lines.get(uid, find)
    assert list(lines.kept) == ["a", "c"]


@pytest.mark.parametrize(
    ("mounted", "workload", "message"),
    [
        pytest.param(["web"], "Deployment/web", "", id="one workload"),
        pytest.param([], None, "no pod uses it", id="nobody"),
        pytest.param(["web", "lone"], None, "several use it", id="several"),
    ],
)
async def test_a_claim_leads_to_the_one_workload_that_uses_it(
    server: tuple[Operate, FakeSession], mounted: list[str], workload: str | None, message: str
) -> None:
    """Of several none is picked; the claim itself is there all the same."""
    spec = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}
    server[1].put(thing("v1", "PersistentVolumeClaim", "data"))
    deployed(server[1], pods=2)
    for number in range(2 if "web" in mounted else 0):
        server[1].objects[f"/api/v1/namespaces/pay/pods/web-7c-{number}"]["spec"] = spec
    server[1].put(thing("v1", "Pod", "lone", spec=spec if "lone" in mounted else {}))
    place = await resolve(server[0], about("PersistentVolumeClaim", "data"))
    assert (names(place).get("object"), names(place).get("workload")) == ("PersistentVolumeClaim/data", workload)
    assert (message in place.message, place.reason) == (True, None)


TRACKED = "argocd.argoproj.io/tracking-id"
LISTED = {"resources": [{"group": "apps", "kind": "Deployment", "namespace": "pay", "name": "web"}]}


@pytest.mark.parametrize(
    ("marks", "application", "found"),
    [
        pytest.param({"annotations": {TRACKED: "shop:apps/Deployment:pay/web"}}, {}, True, id="tracked"),
        pytest.param(
            {"annotations": {TRACKED: "argocd_shop:apps/Deployment:pay/web"}}, {}, True, id="in its namespace"
        ),
        pytest.param({"annotations": {TRACKED: "pay_shop:apps/Deployment:pay/web"}}, {}, False, id="in another's"),
        pytest.param({"annotations": {TRACKED: "shop:apps/Deployment:pay/other"}}, {}, False, id="a copied annotation"),
        pytest.param(
            {"labels": {"app.kubernetes.io/instance": "shop"}}, {"status": LISTED}, True, id="labelled, listed"
        ),
        pytest.param(
            {"labels": {"app.kubernetes.io/instance": "shop"}}, {"status": {"resources": []}}, False, id="not listed"
        ),
        pytest.param({"labels": {"app.kubernetes.io/instance": "nobody"}}, {}, False, id="no such application"),
        pytest.param({}, {}, False, id="no mark"),
    ],
)
async def test_the_application_is_the_one_that_argo_cd_wrote_down(
    server: tuple[Operate, FakeSession], marks: dict[str, Any], application: Object, found: bool
) -> None:
    """A label alone is a hint; a tracking annotation counts only on the very object that it names."""
    deployed(server[1], metadata=marks)
    server[1].put(thing("argoproj.io/v1alpha1", "Application", "shop", metadata={"namespace": "argocd"}, **application))
    place = await resolve(server[0], about("Pod", "web-7c-0"))
    assert (place.application is not None) is found
    assert names(place)["workload"] == "Deployment/web"
