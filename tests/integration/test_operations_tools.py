"""What stops, starts and asks other controllers, on a real API server: their state is respected, their answer told.

The kinds of Argo CD, Flux, Velero and Strimzi are definitions of ours; their controllers' answers are the test's.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import Reason, Verdict
from schemas.ledger import Place
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.suspend import NOTE
from tests import tools
from tests.fakes import eventually
from tests.ground import Ground, ground_of
from tests.operating import done, reference, scene_of, target_of
from tests.watching import Client, client_of
from tests.works import (
    argocd_sync,
    automated,
    cron_job,
    flux_kustomization,
    roll_kafka,
    run_job,
    suspend_application,
    suspend_cron_job,
    velero_backup,
)

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


# Suspend and resume


async def test_what_a_person_suspended_stays_so_at_the_end_of_a_time(ground: Ground) -> None:
    """The action did nothing, so its end takes nothing back."""
    made = await ground.client.create(cron_job(ground.namespace, suspend=True))
    scene = scene_of(ground.api, "suspend", {"object": reference(made), "for": "1h"})
    plan = await OPERATIONS["suspend"].plan(scene)
    assert (plan.so, plan.ours) == (True, False)
    assert await OPERATIONS["suspend"].undo(plan.before, scene) is None
    assert (await ground.live(made))["spec"]["suspend"] is True


async def test_what_a_person_has_resumed_is_not_suspended_again(ground: Ground) -> None:
    """The same action, taken up again, respects it; its end leaves it, too."""
    work = await suspend_cron_job(ground)
    scene = scene_of(ground.api, "suspend", work.parameters, place=work.place)
    plan, _ = await done("suspend", scene)
    assert work.about
    await ground.client.patch(work.about, {"spec": {"suspend": False}})
    again = await OPERATIONS["suspend"].plan(replace(scene, resumed=True))
    assert again.denial
    assert again.denial.reason is Reason.NO_LONGER_TRUE
    assert await OPERATIONS["suspend"].undo(plan.before, scene) is None
    assert (await ground.live(work.about))["spec"]["suspend"] is False


async def test_another_policy_s_resume_puts_back_what_was_noted(ground: Ground) -> None:
    """An Application's automated sync comes back with its own settings, and the note goes."""
    work = await suspend_application(ground)
    await done("suspend", scene_of(ground.api, "suspend", work.parameters, place=work.place))
    assert work.about
    suspended = await ground.live(work.about)
    assert "automated" not in suspended["spec"]["syncPolicy"]
    other = scene_of(ground.api, "resume", work.parameters, id="a2", policy="other")
    await done("resume", other)
    live = await ground.live(work.about)
    assert live["spec"] == automated(ground)["spec"]
    assert NOTE not in live["metadata"]["annotations"]


async def test_an_application_that_nobody_suspended_is_not_guessed(ground: Ground) -> None:
    """Without a note nobody knows what its automated sync was."""
    made = await ground.client.create(tools.made_of("Application", ground.namespace, spec={"syncPolicy": {}}))
    plan = await OPERATIONS["resume"].plan(scene_of(ground.api, "resume", {"object": reference(made)}))
    assert plan.denial
    assert plan.denial.reason is Reason.PARAMETERS


@pytest.mark.parametrize(("kind", "reason"), [
    pytest.param("ConfigMap/any", Reason.PARAMETERS, id="no-switch"),
    pytest.param("Prometheus.monitoring.coreos.com/any", Reason.NOT_SERVED, id="not-served"),
])  # fmt: skip
@pytest.mark.parametrize("action", ["suspend", "resume"])
async def test_a_kind_without_a_switch_is_refused(action: str, kind: str, reason: Reason, ground: Ground) -> None:
    """What nothing would listen to is not written."""
    name, _, obj = kind.partition("/")
    parameters = {"object": f"{name}/{ground.namespace}/{obj}"}
    plan = await OPERATIONS[action].plan(scene_of(ground.api, action, parameters))
    assert plan.denial
    assert plan.denial.reason is reason


# Argo CD and Flux


async def test_a_sync_waits_for_the_one_that_runs(ground: Ground) -> None:
    """Argo CD does one at a time: later is no failure."""
    work = await argocd_sync(ground)
    assert work.about
    await tools.put_status(ground.client, work.about, {"operationState": {"phase": "Running"}})
    plan = await OPERATIONS["argocd-sync"].plan(scene_of(ground.api, "argocd-sync", work.parameters))
    assert plan.denial
    assert (plan.denial.reason, plan.denial.verdict) == (Reason.LATER, Verdict.WAIT)
    assert plan.denial.until


@pytest.mark.parametrize(("state", "missing"), [
    pytest.param({"phase": "Failed", "message": "one  or more\nobjects failed"}, "Failed: one or more objects failed",
                 id="failed"),
    pytest.param({"phase": "Running"}, "Running", id="running"),
    pytest.param({"phase": "Succeeded", "operation": {"info": []}}, "another sync", id="somebody-else-s"),
])  # fmt: skip
async def test_a_sync_is_told_from_anybody_s(state: dict[str, Any], missing: str, ground: Ground) -> None:
    """By the action's id, which Argo CD repeats; how ours ended is told in its own words."""
    work = await argocd_sync(ground)
    scene = scene_of(ground.api, "argocd-sync", work.parameters, place=work.place)
    plan = await OPERATIONS["argocd-sync"].plan(scene)
    applied = await OPERATIONS["argocd-sync"].apply(plan, scene)
    assert "not begun" in str(await OPERATIONS["argocd-sync"].unmet(plan, applied, scene))
    assert work.about
    asked = (await ground.live(work.about))["operation"]
    await ground.client.patch(work.about, {"operation": None})
    await tools.put_status(ground.client, work.about, {"operationState": {"operation": asked, **state}})
    assert missing in str(await OPERATIONS["argocd-sync"].unmet(plan, applied, scene))


async def test_a_suspended_kustomization_is_not_reconciled(ground: Ground) -> None:
    """Flux would not listen."""
    work = await flux_kustomization(ground)
    assert work.about
    await ground.client.patch(work.about, {"spec": {"suspend": True}})
    plan = await OPERATIONS["flux-reconcile"].plan(scene_of(ground.api, "flux-reconcile", work.parameters))
    assert plan.denial
    assert plan.denial.reason is Reason.SUSPENDED


async def test_what_flux_says_of_a_failure_is_told(ground: Ground) -> None:
    """It has dealt with the token, and the object is not ready."""
    work = await flux_kustomization(ground)
    scene = scene_of(ground.api, "flux-reconcile", work.parameters, place=work.place)
    plan = await OPERATIONS["flux-reconcile"].plan(scene)
    applied = await OPERATIONS["flux-reconcile"].apply(plan, scene)
    assert work.about
    failed = {"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no such\npath"}
    await tools.put_status(
        ground.client, work.about, {"lastHandledReconcileAt": scene.action_id, "conditions": [failed]}
    )
    assert await OPERATIONS["flux-reconcile"].unmet(plan, applied, scene) == (
        "it is not ready, BuildFailed: no such path"
    )


# Velero and Strimzi


async def test_a_backup_holds_exactly_what_was_asked_for(ground: Ground) -> None:
    """The namespaces and the time to live; its failure is told in Velero's words."""
    work = await velero_backup(ground)
    scene = scene_of(ground.api, "velero-backup", work.parameters)
    plan = await OPERATIONS["velero-backup"].plan(scene)
    applied = await OPERATIONS["velero-backup"].apply(plan, scene)
    backup = (await ground.api.list("velero.io", "Backup", ground.namespace))[0]
    assert backup["spec"] == {"includedNamespaces": [ground.namespace], "ttl": "1h30m0s"}
    await tools.put_status(ground.client, backup, {"phase": "FailedValidation", "validationErrors": ["no  location"]})
    assert await OPERATIONS["velero-backup"].unmet(plan, applied, scene) == (
        "the Backup ended as FailedValidation: no location"
    )


async def test_a_backup_of_that_name_that_is_not_ours_is_a_conflict(ground: Ground) -> None:
    """Nobody else's is taken for it."""
    work = await velero_backup(ground)
    await ground.client.create(tools.made_of("Backup", ground.namespace, "setpoint-a1"))
    plan = await OPERATIONS["velero-backup"].plan(scene_of(ground.api, "velero-backup", work.parameters))
    assert plan.denial
    assert plan.denial.reason is Reason.CONFLICT


async def test_a_roll_of_kafka_is_asked_of_its_own_sets_only(ground: Ground) -> None:
    """By the labels of the cluster and the kind; one set after the other may be done by the operator."""
    work = await roll_kafka(ground)
    scene = scene_of(ground.api, "kafka-restart", work.parameters, place=work.place)
    plan = await OPERATIONS["kafka-restart"].plan(scene)
    applied = await OPERATIONS["kafka-restart"].apply(plan, scene)
    sets = await ground.api.list("core.strimzi.io", "StrimziPodSet", ground.namespace)
    asked = [one["metadata"]["name"] for one in sets if "strimzi.io/manual-rolling-update" in repr(one)]
    assert sorted(asked) == ["web-brokers", "web-controllers"]
    await ground.client.patch(
        next(one for one in sets if one["metadata"]["name"] == "web-brokers"),
        {"metadata": {"annotations": {"strimzi.io/manual-rolling-update": None}}},
    )
    missing = str(await OPERATIONS["kafka-restart"].unmet(plan, applied, scene))
    assert "web-controllers" in missing
    assert "web-brokers" not in missing


async def test_only_pods_of_strimzi_s_are_rolled_by_it(ground: Ground) -> None:
    """Nobody would look at the annotation of another pod."""
    for labels, reason in (({}, Reason.PARAMETERS), ({"strimzi.io/cluster": "web"}, None)):
        pod = await ground.client.create({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": f"pod-{len(labels)}", "namespace": ground.namespace, "labels": labels},
            "spec": {"containers": [{"name": "kafka", "image": "example.org/kafka:1"}]},
        })  # fmt: skip
        scene = scene_of(ground.api, "kafka-restart", {"object": reference(pod)}, place=Place(pod=target_of(pod)))
        plan = await OPERATIONS["kafka-restart"].plan(scene)
        assert (plan.denial and plan.denial.reason) == reason


# Jobs


async def test_a_job_runs_with_the_cron_job_s_own_template(ground: Ground) -> None:
    """It belongs to the CronJob, ends complete, and there is one of it however often it is asked for."""
    work = await run_job(ground)
    scene = scene_of(ground.api, "run-job", work.parameters, place=work.place)
    await done("run-job", scene)
    again = await OPERATIONS["run-job"].plan(replace(scene, resumed=True))
    await OPERATIONS["run-job"].apply(again, scene)
    jobs = await ground.api.list("batch", "Job", ground.namespace)
    assert work.about
    assert [one["metadata"]["ownerReferences"][0]["uid"] for one in jobs] == [work.about["metadata"]["uid"]]
    assert jobs[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "example.org/report:1"


@pytest.mark.parametrize(("policy", "reason"), [pytest.param("Forbid", Reason.LATER, id="forbid"),
                                                pytest.param("Allow", None, id="allow")])  # fmt: skip
async def test_a_cron_job_that_forbids_two_at_once_is_waited_for(
    policy: str, reason: Reason | None, ground: Ground
) -> None:
    """Also for a job that another alert's action has started, which its own controller does not count."""
    obj = cron_job(ground.namespace, concurrencyPolicy=policy)
    obj["spec"]["jobTemplate"]["spec"]["template"]["spec"]["nodeSelector"] = {"only": "nowhere"}
    made = await ground.client.create(obj)
    first = scene_of(ground.api, "run-job", {"cronJob": reference(made)})
    await OPERATIONS["run-job"].apply(await OPERATIONS["run-job"].plan(first), first)
    plan = await OPERATIONS["run-job"].plan(replace(first, action_id="a2"))
    assert (plan.denial and plan.denial.reason) == reason
    assert (plan.denial and plan.denial.verdict) == (reason and Verdict.WAIT)


async def test_a_job_that_fails_is_told_as_such(ground: Ground) -> None:
    """By the Job controller's own condition."""
    obj = cron_job(ground.namespace)
    template: Object = obj["spec"]["jobTemplate"]["spec"]
    template |= {"activeDeadlineSeconds": 1, "backoffLimit": 0}
    template["template"]["spec"]["nodeSelector"] = {"only": "nowhere"}
    made = await ground.client.create(obj)
    scene = scene_of(ground.api, "run-job", {"cronJob": reference(made)})
    plan = await OPERATIONS["run-job"].plan(scene)
    applied = await OPERATIONS["run-job"].apply(plan, scene)

    async def failed() -> str:
        missing = str(await OPERATIONS["run-job"].unmet(plan, applied, scene))
        return missing if "failed," in missing else ""

    assert "DeadlineExceeded" in await eventually(failed, 60.0, "the job has failed")
