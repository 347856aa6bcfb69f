"""What an alert of a trouble is about: the workload, found once for all pods of it, or the nearest that is known."""

import pytest

from services.kube.api.errors import ApiError, Forbidden, Unavailable
from services.kube.objects import Object
from services.watcher.trouble.found import involved, subject_of
from services.watcher.trouble.owners import Owners
from tests.fake_api import FakeSession, fake_api, served
from tests.troubled import SET_UID, pod, thing, warning

KINDS = served(
    ("v1", "Pod", "pods", True), ("apps/v1", "ReplicaSet", "replicasets", True),
    ("apps/v1", "Deployment", "deployments", True), ("batch/v1", "Job", "jobs", True),
)  # fmt: skip
SET_PATH = "/apis/apps/v1/namespaces/payments/replicasets/api-7d4"


def replica_set(uid: str = SET_UID) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "uid-of-api", "controller": True}
    return thing("apps/v1", "ReplicaSet", "api-7d4", metadata={"uid": uid, "ownerReferences": [owner]})


@pytest.fixture
def world() -> tuple[Owners, FakeSession]:
    api, session = fake_api(KINDS)
    return Owners(api.cluster), session


async def test_a_pod_is_about_its_deployment(world: tuple[Owners, FakeSession]) -> None:
    """Through its ReplicaSet, which is read once for all of its pods."""
    owners, session = world
    session.put(replica_set())
    found = [await owners.target(subject_of(pod(name=name))) for name in ("api-7d4-x", "api-7d4-y")]
    assert {(one.subject, one.uid) for one in found} == {("prod/apps/Deployment/payments/api", "uid-of-api")}
    assert session.asked == [("GET", SET_PATH)]


@pytest.mark.parametrize(
    "refusal", [pytest.param(None, id="gone"), pytest.param(Forbidden("no", 403), id="may-not-be-read")]
)
async def test_the_nearest_owner_that_is_known(world: tuple[Owners, FakeSession], refusal: ApiError | None) -> None:
    """The reference names it, so the alert is told all the same."""
    owners, session = world
    if refusal:
        session.fails[SET_PATH] = refusal
    found = await owners.target(subject_of(pod()))
    assert (found.subject, found.uid) == ("prod/apps/ReplicaSet/payments/api-7d4", SET_UID)


async def test_another_object_of_the_owners_name_is_no_owner(world: tuple[Owners, FakeSession]) -> None:
    """Who has its name by now is not asked who controls it."""
    owners, session = world
    session.put(replica_set(uid="another"))
    assert (await owners.target(subject_of(pod()))).kind == "ReplicaSet"


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        pytest.param(None, "Pod", id="nobody"),
        pytest.param(("v1", "Node", "worker-1"), "Pod", id="a-node"),
        pytest.param(("apps/v1", "ReplicaSet", "../../secrets/token"), "Pod", id="a-path"),
        pytest.param(("apps/v1", "Deployment", "a/b"), "Pod", id="a-subject-in-a-name"),
        pytest.param(("apps/v1", "Replica\nSet", "api"), "Pod", id="two-lines"),
        pytest.param(("kafka.strimzi.io/v1", "StrimziPodSet", "events"), "StrimziPodSet", id="a-custom-resource"),
    ],
)
async def test_where_the_way_up_ends(
    world: tuple[Owners, FakeSession], owner: tuple[str, str, str] | None, kind: str
) -> None:
    """A static pod is its own, and a controller that is not Kubernetes' own is taken as it is, unread."""
    owners, session = world
    names = ("apiVersion", "kind", "name", "uid", "controller")
    references = [dict(zip(names, (*owner, "u-9", True), strict=True))] if owner else []
    assert (await owners.target(subject_of(pod(ownerReferences=references)))).kind == kind
    assert session.asked == []


async def test_what_an_event_is_about_is_looked_up(world: tuple[Owners, FakeSession]) -> None:
    """An Event says which pod, not whose."""
    owners, session = world
    session.put(pod())
    session.put(replica_set())
    about = involved(warning("Unhealthy", "Liveness probe failed", pod()), ("Pod",))
    assert about is not None
    assert (await owners.target(about)).subject == "prod/apps/Deployment/payments/api"


async def test_an_api_server_that_is_away_is_asked_again(world: tuple[Owners, FakeSession]) -> None:
    """It says nothing about whose the pod is."""
    owners, session = world
    session.fails[SET_PATH] = Unavailable("away")
    with pytest.raises(Unavailable):
        await owners.target(subject_of(pod()))
    session.fails.clear()
    session.put(replica_set())
    assert (await owners.target(subject_of(pod()))).kind == "Deployment"


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"name": "../../secrets/token"}, id="a-path"),
        pytest.param({"name": ""}, id="no-name"),
        pytest.param({"kind": "Node"}, id="another-kind"),
        pytest.param({"apiVersion": "a b/v1"}, id="no-group"),
    ],
)
def test_an_event_that_names_no_object_is_about_nothing(lie: dict[str, str]) -> None:
    """Whoever may write Events may write anything into one."""
    event = warning("Unhealthy", "Liveness probe failed", pod())
    event["involvedObject"] |= lie
    assert involved(event, ("Pod",)) is None


def test_an_event_is_about_its_own_namespace() -> None:
    """Rights to write Events in one namespace say nothing about another."""
    event = warning("Unhealthy", "Liveness probe failed", pod())
    event["involvedObject"]["namespace"] = "kube-system"
    about = involved(event, ("Pod",))
    assert about is not None
    assert about.key.namespace == "payments"
