"""Isolation on a real API server: exactly one pod, never less than is said, and lifted without a trace."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import Reason
from schemas.ledger import Place
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.network import ENGINES, LABEL, selects
from services.reconciler.actions.operations import OPERATIONS
from tests import tools
from tests.fakes import eventually
from tests.ground import Ground, ground_of
from tests.operating import done, reference, scene_of, target_of
from tests.watching import Client, client_of
from tests.works import Maker, isolate, isolate_calico, isolate_calico_storage, isolate_cilium

pytestmark = pytest.mark.integration
ISOLATE = OPERATIONS["isolate"]
POLICIES = [(group, engine.kind) for engine in ENGINES.values() for group, _ in engine.groups]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


async def policies(ground: Ground) -> list[Object]:
    """Those of every engine."""
    return [one for kind in POLICIES for one in await ground.api.list(*kind, ground.namespace)]


def plain(ground: Ground, name: str, **spec: Any) -> Object:
    """A NetworkPolicy of somebody else's."""
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": ground.namespace}, "spec": spec,
    }  # fmt: skip


async def test_the_other_pods_of_the_workload_stay_on_the_network(ground: Ground) -> None:
    """The policy selects a label that only the isolated pod has."""
    work = await isolate(ground)
    await done("isolate", scene_of(ground.api, "isolate", work.parameters, place=work.place))
    selector = (await policies(ground))[0]["spec"]["podSelector"]
    cut = [pod["metadata"]["name"] for pod in await ground.pods() if selects(selector, pod["metadata"]["labels"])]
    assert work.about
    assert cut == [work.about["metadata"]["name"]]


@pytest.mark.parametrize("maker", [isolate, isolate_cilium, isolate_calico, isolate_calico_storage])
async def test_an_end_of_the_isolation_leaves_nothing(maker: Maker, ground: Ground) -> None:
    """Neither a policy of any engine nor the label; a second end finds nothing more to do."""
    work = await maker(ground)
    scene = scene_of(work.on(ground.api), "isolate", work.parameters, place=work.place)
    plan, _ = await done("isolate", scene)
    found = await policies(ground)
    engine = ENGINES[work.parameters.get("engine", "kubernetes")]
    assert [one["kind"] for one in found] == [engine.kind]
    for _ in range(2):
        assert await ISOLATE.undo(plan.before, scene) is None
        assert await policies(ground) == []
    assert work.about
    assert LABEL not in (await ground.live(work.about))["metadata"]["labels"]


async def test_the_policy_goes_with_the_pod(ground: Ground) -> None:
    """A pod that is gone needs none, and the end of its isolation is no failure then."""
    work = await isolate(ground)
    scene = scene_of(ground.api, "isolate", work.parameters, place=work.place)
    plan, _ = await done("isolate", scene)
    assert work.about
    await ground.client.delete(work.about)

    async def none() -> bool:
        return await policies(ground) == []

    await eventually(none, 120.0, "the policy is collected")
    assert await ISOLATE.undo(plan.before, scene) is None


@pytest.mark.parametrize(("allowed", "refused"), [
    pytest.param({"ingress": [{}]}, False, id="one-way"),
    pytest.param({"ingress": [{}], "egress": [{}]}, True, id="both-ways"),
    pytest.param({"policyTypes": ["Ingress", "Egress"]}, False, id="nothing"),
    pytest.param({"podSelector": {"matchLabels": {"app": "other"}}, "ingress": [{}], "egress": [{}]}, False,
                 id="another-pod"),
])  # fmt: skip
async def test_what_others_still_allow_is_said_or_refused(
    allowed: dict[str, Any], refused: bool, ground: Ground
) -> None:
    """NetworkPolicies add up: where one allows everything, another cuts nothing."""
    work = await isolate(ground)
    await ground.client.create(plain(ground, "open", **{"podSelector": {"matchLabels": {"app": "web"}}, **allowed}))
    scene = scene_of(ground.api, "isolate", work.parameters, place=work.place)
    plan = await ISOLATE.plan(scene)
    assert (plan.denial is not None) is refused
    leaks = "ingress" in allowed and "podSelector" not in allowed
    assert ("still allows ingress" in (plan.denial.message if plan.denial else plan.words)) is leaks


@pytest.mark.parametrize(("parameters", "reason"), [
    pytest.param({"engine": "cilium", "allowDns": True}, Reason.PARAMETERS, id="cilium-spares-no-dns"),
    pytest.param({"engine": "cilium"}, Reason.NOT_SERVED, id="not-served"),
])  # fmt: skip
async def test_what_an_engine_cannot_do_is_refused(parameters: dict[str, Any], reason: Reason, ground: Ground) -> None:
    """Rather than done by half."""
    work = await isolate(ground)
    api = ground.api if reason is Reason.PARAMETERS else tools.without(ground.api, "cilium.io")
    scene = scene_of(api, "isolate", {**work.parameters, **parameters}, place=work.place)
    plan = await ISOLATE.plan(scene)
    assert plan.denial
    assert plan.denial.reason is reason
    assert await policies(ground) == []


async def test_a_pod_on_the_node_s_network_is_refused(ground: Ground) -> None:
    """No policy reaches it."""
    spec = {"hostNetwork": True, "containers": [{"name": "web", "image": "example.org/web:1"}]}
    pod = await ground.client.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host", "namespace": ground.namespace}, "spec": spec}
    )
    scene = scene_of(ground.api, "isolate", {"pod": reference(pod)}, place=Place(pod=target_of(pod)))
    plan = await ISOLATE.plan(scene)
    assert plan.denial
    assert plan.denial.reason is Reason.PARAMETERS


async def test_one_pod_is_isolated_once(ground: Ground) -> None:
    """A second alert's action finds it so; the end of that one, which did nothing, takes nothing back."""
    work = await isolate(ground)
    first = scene_of(ground.api, "isolate", work.parameters, place=work.place)
    await done("isolate", first)
    second = replace(first, action_id="a2")
    plan = await ISOLATE.plan(second)
    assert (plan.so, plan.ours) == (True, False)
    assert await ISOLATE.undo(plan.before, second) is None
    assert len(await policies(ground)) == 1


async def test_a_policy_of_that_name_that_is_not_ours_is_a_conflict(ground: Ground) -> None:
    """Nobody else's policy is taken for the isolation, nor deleted at its end."""
    work = await isolate(ground)
    assert work.about
    uid = work.about["metadata"]["uid"]
    await ground.client.create(plain(ground, f"setpoint-isolate-{uid}", podSelector={"matchLabels": {"app": "other"}}))
    scene = scene_of(ground.api, "isolate", work.parameters, place=work.place)
    plan = await ISOLATE.plan(scene)
    assert plan.denial
    assert plan.denial.reason is Reason.CONFLICT


async def test_a_label_taken_away_is_seen(ground: Ground) -> None:
    """Without it the policy selects nothing, so the isolation is not met any more."""
    work = await isolate(ground)
    scene = scene_of(ground.api, "isolate", work.parameters, place=work.place)
    plan, applied = await done("isolate", scene)
    assert work.about
    await ground.client.patch(work.about, {"metadata": {"labels": {LABEL: None}}})
    assert await ISOLATE.unmet(plan, applied, scene) is not None
