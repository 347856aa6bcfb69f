"""Targets of alerts on a real API server: what controllers made leads to what people wrote, odd names to nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.alerts import ALERT_GROUP, ALERT_KIND, AlertFired
from schemas.events import Reason
from schemas.ledger import Place
from schemas.target import Target
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.reconciler.acting.resolving import READS, resolve
from services.reconciler.actions.base import Rule
from services.runtime.clock import SystemClock
from tests import tools
from tests.fakes import eventually
from tests.ground import Ground, ground_of, other_kind
from tests.operating import account_with, alert, target_of
from tests.watching import Client, client_of, config_map, deployment
from tests.works import cron_job

pytestmark = pytest.mark.integration
OTHER_UID = "0e1e5c0e-0000-4000-8000-000000000000"
TRACKING = "argocd.argoproj.io/tracking-id"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


def about(
    kind: str, name: str, namespace: str = "", group: str = "", uid: str | None = None, **labels: str
) -> AlertFired:
    """An alert of somebody who knows this much of its target."""
    target = Target(cluster=CONTEXT, group=group, kind=kind, namespace=namespace, name=name, uid=uid)
    return alert(SystemClock()).model_copy(update={"target": target, "labels": labels})


def names(place: Place) -> dict[str, str]:
    """What was found, as `Kind/name`; every one of them with a uid but the node, which the pod only names."""
    found = {name: getattr(place, name) for name in ("object", "pod", "workload", "node", "application")}
    assert all(target.uid for name, target in found.items() if target is not None and name != "node")
    return {name: f"{target.kind}/{target.name}" for name, target in found.items() if target is not None}


async def bare_pod(ground: Ground, name: str = "lone", **metadata: Any) -> Object:
    spec = {"containers": [{"name": "web", "image": "example.org/web:1"}]}
    return await ground.client.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ground.namespace, **metadata},
         "spec": spec}
    )  # fmt: skip


async def running(ground: Ground, app: str = "web") -> Object:
    """A pod that its controller has made and that has a node."""

    async def look() -> Object | None:
        return next((pod for pod in await ground.pods(app) if pod["spec"].get("nodeName")), None)

    found: Object = await eventually(look, what="a pod runs")
    return found


# Upwards


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_pod_leads_to_what_people_wrote(kind: str, ground: Ground) -> None:
    """Over the ReplicaSet of a Deployment; with the pod's node."""
    made = await ground.client.create(other_kind(kind, ground.namespace))
    pod = await running(ground)
    place = await resolve(ground.api, about("Pod", pod["metadata"]["name"], ground.namespace))
    own = f"Pod/{pod['metadata']['name']}"
    node = f"Node/{pod['spec']['nodeName']}"
    assert names(place) == {"object": own, "pod": own, "workload": f"{kind}/web", "node": node}
    assert place.workload
    assert place.workload.uid == made["metadata"]["uid"]


async def test_a_job_s_pod_leads_to_its_cron_job(ground: Ground) -> None:
    """A Job that a CronJob has started is its; every minute, so that the real controller starts it."""
    obj = cron_job(ground.namespace)
    await ground.client.create(obj)
    cron = await ground.live(obj)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "report", "uid": cron["metadata"]["uid"]}
    job = {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "once", "namespace": ground.namespace, "ownerReferences": [{**owner, "controller": True}]},
        "spec": obj["spec"]["jobTemplate"]["spec"],
    }  # fmt: skip
    await ground.client.create(job)
    pod = await running(ground, "report")
    found = names(await resolve(ground.api, about("Pod", pod["metadata"]["name"], ground.namespace)))
    assert found["workload"] == "CronJob/report"
    assert names(await resolve(ground.api, about("Job", "once", ground.namespace, "batch")))["workload"] == (
        "CronJob/report"
    )


async def test_other_kinds_are_found_as_what_they_are(ground: Ground) -> None:
    """Cluster-scoped ones also where the sender named a namespace; without a group by the only one with the kind."""
    node = (await ground.api.list("", "Node"))[0]["metadata"]["name"]
    await ground.client.create(tools.made_of("Application", ground.namespace, "shop"))
    await ground.client.create(tools.made_of("KafkaConnector", ground.namespace, "sink"))
    for one, found in (
        (about("Node", node, ground.namespace), {"object": f"Node/{node}", "node": f"Node/{node}"}),
        (about("Namespace", ground.namespace), {"object": f"Namespace/{ground.namespace}"}),
        (about("Application", "shop", ground.namespace, "argoproj.io"),
         {"object": "Application/shop", "application": "Application/shop"}),
        (about("KafkaConnector", "sink", ground.namespace), {"object": "KafkaConnector/sink"}),
        (about(ALERT_KIND, "any", group=ALERT_GROUP), {}),
    ):  # fmt: skip
        place = await resolve(ground.api, one)
        assert (names(place), place.reason) == (found, None)


@pytest.mark.parametrize(("users", "workload", "message"), [
    pytest.param(("web",), "Deployment/web", "", id="one"), pytest.param((), None, "no pod uses it", id="nobody"),
    pytest.param(("web", "other"), None, "several use it", id="several"),
])  # fmt: skip
async def test_a_claim_leads_to_the_one_workload_that_mounts_it(
    users: tuple[str, ...], workload: str | None, message: str, ground: Ground
) -> None:
    """Of several none is picked."""
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": ground.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    await ground.client.create(claim)
    for name in users:
        obj = deployment(ground.namespace, name)
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        obj["spec"]["template"]["spec"]["volumes"] = [volume]
        await ground.client.create(obj)
        await eventually(partial(ground.pods, name), what="its pods are there")
    place = await resolve(ground.api, about("PersistentVolumeClaim", "data", ground.namespace))
    assert (names(place).get("workload"), message in place.message) == (workload, True)


@pytest.mark.parametrize(("tracked", "found"), [
    pytest.param("{namespace}_shop:apps/Deployment:{namespace}/web", "Application/shop", id="its-own"),
    pytest.param("{namespace}_shop:apps/Deployment:{namespace}/other", None, id="copied"),
    pytest.param("a b,c=d_shop:apps/Deployment:{namespace}/web", None, id="no-namespace"),
    pytest.param("{namespace}_shop,metadata.namespace!=x:apps/Deployment:{namespace}/web", None, id="a-selector"),
])  # fmt: skip
async def test_an_application_is_found_by_what_argo_cd_wrote(tracked: str, found: str | None, ground: Ground) -> None:
    """And what anybody else may have written there never hides the workload."""
    await ground.client.create(tools.made_of("Application", ground.namespace, "shop"))
    obj = deployment(ground.namespace)
    obj["metadata"]["annotations"] = {TRACKING: tracked.format(namespace=ground.namespace)}
    await ground.client.create(obj)
    place = names(await resolve(ground.api, about("Deployment", "web", ground.namespace, "apps")))
    assert (place["workload"], place.get("application")) == ("Deployment/web", found)


# Gone, another, several


async def test_a_pod_that_was_made_anew_is_gone(ground: Ground) -> None:
    """By the uid in the target or in the labels; without any the one of that name is meant."""
    first = await bare_pod(ground)
    again = await ground.replaced(first)
    uid = first["metadata"]["uid"]
    for one in (about("Pod", "lone", ground.namespace, uid=uid), about("Pod", "lone", ground.namespace, pod_uid=uid)):
        place = await resolve(ground.api, one)
        assert (place.reason, place.object) == (Reason.TARGET_GONE, None)
        assert "another object has its name" in place.message
    place = await resolve(ground.api, about("Pod", "lone", ground.namespace))
    assert place.pod
    assert place.pod.uid == again["metadata"]["uid"]


async def test_what_is_not_there_is_gone(ground: Ground) -> None:
    """An object and a namespace that are not there, with and without a namespace."""
    for namespace in (ground.namespace, "no-such-namespace", ""):
        place = await resolve(ground.api, about("Pod", "no-such-pod", namespace))
        assert place.reason is Reason.TARGET_GONE


async def test_a_name_in_several_namespaces_is_ambiguous(ground: Ground, client: Client) -> None:
    """Unless a uid tells which; in one namespace only it is found."""
    name = f"only-{ground.namespace}"
    mine = await bare_pod(ground, name)
    place = await resolve(ground.api, about("Pod", name))
    assert place.pod == target_of(mine)
    async with ground_of(client) as other:
        theirs = await bare_pod(other, name)
        place = await resolve(ground.api, about("Pod", name))
        assert place.reason is Reason.TARGET_AMBIGUOUS
        assert ground.namespace in place.message
        assert other.namespace in place.message
        place = await resolve(ground.api, about("Pod", name, uid=theirs["metadata"]["uid"]))
        assert place.pod == target_of(theirs)


async def test_a_kind_of_several_groups_is_ambiguous(ground: Ground) -> None:
    """Kubernetes' own and Calico's policies have one name; a kind that nobody serves is unknown."""
    ambiguous = await resolve(ground.api, about("NetworkPolicy", "any", ground.namespace))
    assert ambiguous.reason is Reason.TARGET_AMBIGUOUS
    for group in ("", "example.org"):
        unknown = await resolve(ground.api, about("Gadget", "any", ground.namespace, group))
        assert unknown.reason is Reason.TARGET_UNKNOWN


@pytest.mark.parametrize("owner", [
    pytest.param({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone"}, id="gone"),
    pytest.param({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, id="another-of-its-name"),
    pytest.param({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "../../../secrets/x"}, id="a-path"),
    pytest.param({"apiVersion": "example.org/v1", "kind": "Gadget", "name": "x"}, id="not-served"),
    pytest.param({"apiVersion": "v1", "kind": "Namespace", "name": "default"}, id="cluster-scoped"),
])  # fmt: skip
async def test_an_owner_that_is_none_never_hides_a_pod(owner: dict[str, str], ground: Ground) -> None:
    """Who makes a pod writes its owners as they like: it can still be isolated or deleted."""
    await ground.client.create(deployment(ground.namespace))
    pod = await bare_pod(ground, ownerReferences=[{**owner, "uid": OTHER_UID, "controller": True}])
    place = await resolve(ground.api, about("Pod", "lone", ground.namespace))
    assert (place.reason, place.pod, place.workload) == (None, target_of(pod), None)
    assert place.message.startswith("its owner")


# Names that are none


@dataclass
class Listener:
    """The real API, and every path and selector that it was asked for."""

    api: Operate
    asked: list[str]


@pytest.fixture
def listener(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Listener:
    api, asked = ground.api, []
    session = api.cluster.session
    real = session.request

    async def request(method: str, path: str, **options: Any) -> Any:
        asked.append(f"{method} {path} {dict(options.get('params') or {}).get('fieldSelector', '')}".strip())
        return await real(method, path, **options)

    monkeypatch.setattr(session, "request", request)
    return Listener(api, asked)


ODD = (
    "a/b", "../secrets/token", "..", ".", "a..b", "%2e%2e%2fsecrets", "a%2fb", "a b", "a?watch=1", "a#b", "a\nb",
    "a\x00b", "x,metadata.namespace=kube-system", "x=y", "x!=y", "pod/log", "", "ü", "-", "a" * 300, "{{.Name}}",
    "$(id)",
)  # fmt: skip


@pytest.mark.parametrize("odd", [pytest.param(odd, id=f"{number}") for number, odd in enumerate(ODD)])
@pytest.mark.parametrize("place", ["name", "namespace", "nowhere", "kind"])
async def test_an_odd_name_never_reaches_the_server(odd: str, place: str, listener: Listener, ground: Ground) -> None:
    """As a name, a name without a namespace, a namespace or a kind: refused with a reason, and nothing is asked."""
    namespace = ground.namespace
    one = {
        "name": about("Pod", odd, namespace), "nowhere": about("Pod", odd), "kind": about(odd, "x", namespace),
        "namespace": about("Pod", "x", odd),
    }[place]  # fmt: skip
    if place == "namespace" and not odd:
        return
    found = await resolve(listener.api, one)
    assert found.reason in (Reason.TARGET_UNKNOWN, Reason.TARGET_GONE)
    assert found.object is None
    assert listener.asked == []


async def test_labels_of_an_alert_are_no_uids_unless_they_are(ground: Ground) -> None:
    """A label says which pod is meant only where it holds a uid; anything else is no condition and no injection."""
    pod = await bare_pod(ground)
    for odd in ("1001", "x,y=z", "../..", "0E1E5C0E-0000-4000-8000-000000000000 "):
        place = await resolve(ground.api, about("Pod", "lone", ground.namespace, uid_label=odd, pod_uid=odd))
        assert place.pod == target_of(pod)


# Rights


async def test_the_declared_rights_are_enough(ground: Ground, control_plane: LocalControlPlane, tmp_path: Path) -> None:
    """With those, and no other, each kind that Kubernetes itself has is found up to its workload."""
    await ground.workload(deployment(ground.namespace))
    await ground.client.create(config_map(ground.namespace))
    pod = (await ground.pods())[0]["metadata"]["name"]
    async with account_with(READS, ground.client, control_plane, ground.namespace, tmp_path) as account:
        for one in (about("Pod", pod, ground.namespace), about("Pod", pod)):
            place = await resolve(account.api, one)
            assert (place.reason, names(place)["workload"]) == (None, "Deployment/web")
        refused = await resolve(account.api, about("ConfigMap", "settings", ground.namespace))
        assert refused.reason is Reason.FORBIDDEN
        assert 'cannot get resource "configmaps"' in refused.message


@pytest.mark.parametrize("missing", ["replicasets", "deployments"])
async def test_an_owner_that_may_not_be_read_is_named(
    missing: str, ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """The pod can still be acted on, and the message says which right is missing for its workload."""
    await ground.workload(deployment(ground.namespace))
    pod = (await ground.pods())[0]["metadata"]["name"]
    rules = [one for one in READS if one.resource != missing]
    assert Rule("apps", missing, ("get",)) in READS
    async with account_with(rules, ground.client, control_plane, ground.namespace, tmp_path) as account:
        place = await resolve(account.api, about("Pod", pod, ground.namespace))
    assert (place.reason, place.workload) == (None, None)
    assert place.pod
    assert f'cannot get resource "{missing}"' in place.message
