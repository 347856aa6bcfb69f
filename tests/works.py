"""What each operation is given to do in tests on the real API server: one maker for each, and the list of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from schemas.ledger import Place
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.reconciler.actions.operation import Scene
from tests import tools
from tests.ground import Ground, released
from tests.operating import reference, target_of
from tests.watching import Client, config_map, deployment


@dataclass
class Work:
    """What an action is to do; `about` is what it changes, None where that is gone afterwards.

    `resumed`: a second run can only know by that that the first was there. `answer`: what another project's controller
    does about it. `unserved`: a group that the cluster is to lack. `spare`: one that the action has no need of here.
    """

    parameters: dict[str, Any]
    place: Place
    about: Object | None
    resumed: bool = False
    answer: tools.Answer | None = None
    unserved: str = ""
    spare: str = ""

    def on(self, api: Operate) -> Operate:
        """The cluster as it is meant for this work."""
        return tools.without(api, self.unserved) if self.unserved else api

    async def answered(self, client: Client, scene: Scene[Any]) -> None:
        """Let the other project's controller do its part."""
        if self.answer is not None and self.about is not None:
            await self.answer(client, self.about, scene.action_id)


async def _web(ground: Ground, parameter: str = "workload", **more: Any) -> Work:
    live = await ground.workload(deployment(ground.namespace))
    target = target_of(live)
    place = Place(object=target, workload=target)
    return Work({parameter: reference(live), **more}, place, live)


async def _pod(ground: Ground, **more: Any) -> tuple[Work, Object]:
    await ground.workload(deployment(ground.namespace))
    pod = (await ground.pods())[0]
    place = Place(object=target_of(pod), pod=target_of(pod))
    return Work({"pod": reference(pod), **more}, place, pod), pod


async def restart(ground: Ground) -> Work:
    return await _web(ground)


async def scale(ground: Ground) -> Work:
    return await _web(ground, by=1)


async def delete_pod(ground: Ground) -> Work:
    work, _ = await _pod(ground)
    return replace(work, about=None, resumed=True)


async def force_pod(ground: Ground) -> Work:
    work = await delete_pod(ground)
    await ground.forbid_evictions()
    return replace(work, parameters={**work.parameters, "force": True, "gracePeriod": "0s"})


async def rollback(ground: Ground) -> Work:
    live = await released(ground)
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def rollback_set(ground: Ground) -> Work:
    live = await released(ground, "StatefulSet")
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def rollback_daemons(ground: Ground) -> Work:
    live = await released(ground, "DaemonSet")
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def cordon(ground: Ground) -> Work:
    node = await ground.node()
    return Work({"node": reference(node)}, Place(node=target_of(node)), node)


async def uncordon(ground: Ground) -> Work:
    work = await cordon(ground)
    assert work.about
    await ground.client.patch(work.about, {"spec": {"unschedulable": True}})
    return replace(work, about=await ground.live(work.about))


async def drain(ground: Ground) -> Work:
    work = await cordon(ground)
    assert work.about
    await ground.workload(ground.on(work.about, deployment(ground.namespace)))
    return work


async def label(ground: Ground) -> Work:
    return await _web(ground, "object", set={"quarantine": "true"}, remove=["absent"])


async def annotate(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    return Work({"object": reference(made), "set": {"example.org/seen": "yes"}}, Place(object=target_of(made)), made)


async def merge(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    body = {"data": {"colour": "red", "size": "1"}, "metadata": {"annotations": {"example.org/why": "shell"}}}
    return Work({"object": reference(made), "merge": body}, Place(object=target_of(made)), made)


async def operations(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    changed = [{"op": "test", "path": "/data/colour", "value": "blue"},
               {"op": "replace", "path": "/data/colour", "value": "red"}]  # fmt: skip
    return Work({"object": reference(made), "json": changed}, Place(object=target_of(made)), made)


async def apply_manifest(ground: Ground) -> Work:
    manifest = config_map(ground.namespace, "maintenance", banner="we are on it")
    return Work({"manifest": manifest}, Place(), manifest)


async def evidence(ground: Ground) -> Work:
    work, _ = await _pod(ground)
    return work


# The pod's network


async def isolate(ground: Ground) -> Work:
    work, _ = await _pod(ground)
    return work


async def isolate_egress(ground: Ground) -> Work:
    work, _ = await _pod(ground, directions=["egress"], allowDns=True)
    return work


async def isolate_cilium(ground: Ground) -> Work:
    work, _ = await _pod(ground, engine="cilium")
    return work


async def isolate_calico(ground: Ground) -> Work:
    work, _ = await _pod(ground, engine="calico", allowDns=True)
    return replace(work, spare="crd.projectcalico.org")


async def isolate_calico_storage(ground: Ground) -> Work:
    work = await isolate_calico(ground)
    return replace(work, unserved="projectcalico.org", spare="projectcalico.org")


# Jobs, and kinds of other projects


def cron_job(namespace: str, name: str = "report", **spec: Any) -> Object:
    container = {"name": "report", "image": "example.org/report:1"}
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {"metadata": {"labels": {"app": name}}, "spec": {"template": pod}}
    return {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": "0 3 29 2 *", "jobTemplate": job, **spec},
    }  # fmt: skip


async def _made(ground: Ground, obj: Object, parameter: str = "object", **more: Any) -> Work:
    made = await ground.client.create(obj)
    target = target_of(made)
    place = Place(object=target, application=target if target.kind == "Application" else None)
    return Work({parameter: reference(made), **more}, place, made)


async def run_job(ground: Ground) -> Work:
    return await _made(ground, cron_job(ground.namespace, concurrencyPolicy="Forbid"), "cronJob")


async def suspend_cron_job(ground: Ground) -> Work:
    return await _made(ground, cron_job(ground.namespace), **{"for": "2h"})


async def suspend_deployment(ground: Ground) -> Work:
    return await _web(ground, "object")


async def suspend_application(ground: Ground) -> Work:
    return await _made(ground, automated(ground))


async def suspend_kustomization(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("Kustomization", ground.namespace, spec={"suspend": False}))


async def suspend_release(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("HelmRelease", ground.namespace, spec={"interval": "5m"}))


async def suspend_schedule(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("Schedule", ground.namespace, spec={"schedule": "@daily"}))


async def suspend_connector(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("KafkaConnector", ground.namespace, spec={"state": "running"}))


async def suspend_kafka(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("Kafka", ground.namespace, spec={"kafka": {}}))


async def resume_cron_job(ground: Ground) -> Work:
    return await _made(ground, cron_job(ground.namespace, suspend=True))


async def resume_application(ground: Ground) -> Work:
    automated = {"automated": {"enabled": False, "prune": True}}
    return await _made(ground, tools.made_of("Application", ground.namespace, spec={"syncPolicy": automated}))


def automated(ground: Ground) -> Object:
    policy = {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]}
    return tools.made_of("Application", ground.namespace, spec={"syncPolicy": policy})


async def argocd_sync(ground: Ground) -> Work:
    work = await _made(ground, automated(ground), "application", prune=True)
    return replace(work, answer=tools.argo_syncs)


async def flux_kustomization(ground: Ground) -> Work:
    work = await _made(ground, tools.made_of("Kustomization", ground.namespace, spec={"interval": "5m"}))
    return replace(work, answer=tools.flux_reconciles)


async def flux_release(ground: Ground) -> Work:
    work = await _made(ground, tools.made_of("HelmRelease", ground.namespace, spec={"interval": "5m"}))
    return replace(work, answer=tools.flux_reconciles)


async def restart_rollout(ground: Ground) -> Work:
    work = await _made(ground, tools.made_of("Rollout", ground.namespace, spec={"replicas": 2}), "workload")
    return replace(work, answer=tools.argo_restarts)


async def scale_rollout(ground: Ground) -> Work:
    return await _made(ground, tools.made_of("Rollout", ground.namespace, spec={"replicas": 2}), "workload", replicas=4)


async def velero_backup(ground: Ground) -> Work:
    parameters = {"namespaces": [ground.namespace], "veleroNamespace": ground.namespace, "ttl": "90m"}
    about = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ground.namespace}}
    return Work(parameters, Place(), about, answer=tools.velero_completes)


async def restart_connector(ground: Ground) -> Work:
    work = await _made(ground, tools.made_of("KafkaConnector", ground.namespace, spec={"tasksMax": 1}))
    return replace(work, answer=tools.strimzi_obeys)


async def restart_task(ground: Ground) -> Work:
    work = await restart_connector(ground)
    return replace(work, parameters={**work.parameters, "task": 0})


async def roll_kafka(ground: Ground) -> Work:
    """A cluster with two pools, beside one that is not meant."""
    for cluster, name in (("web", "web-brokers"), ("web", "web-controllers"), ("other", "other-brokers")):
        labels = {"strimzi.io/cluster": cluster, "strimzi.io/kind": "Kafka"}
        await ground.client.create(tools.made_of("StrimziPodSet", ground.namespace, name, metadata={"labels": labels}))
    work = await _made(ground, tools.made_of("Kafka", ground.namespace, spec={"kafka": {}}))
    return replace(work, answer=tools.strimzi_obeys)


Maker = Callable[[Ground], Awaitable[Work]]
MAKERS: tuple[tuple[str, Maker], ...] = (
    ("restart", restart), ("restart", restart_rollout), ("scale", scale), ("scale", scale_rollout),
    ("delete-pod", delete_pod), ("delete-pod", force_pod), ("rollback", rollback), ("rollback", rollback_set),
    ("rollback", rollback_daemons), ("cordon", cordon), ("uncordon", uncordon), ("drain", drain), ("label", label),
    ("annotate", annotate), ("patch", merge), ("patch", operations), ("apply-manifest", apply_manifest),
    ("evidence", evidence), ("isolate", isolate), ("isolate", isolate_egress), ("isolate", isolate_cilium),
    ("isolate", isolate_calico), ("isolate", isolate_calico_storage), ("suspend", suspend_cron_job),
    ("suspend", suspend_deployment), ("suspend", suspend_application), ("suspend", suspend_kustomization),
    ("suspend", suspend_release), ("suspend", suspend_schedule), ("suspend", suspend_connector),
    ("suspend", suspend_kafka), ("resume", resume_cron_job), ("resume", resume_application),
    ("argocd-sync", argocd_sync), ("flux-reconcile", flux_kustomization), ("flux-reconcile", flux_release),
    ("velero-backup", velero_backup), ("kafka-restart", restart_connector), ("kafka-restart", restart_task),
    ("kafka-restart", roll_kafka), ("run-job", run_job),
)  # fmt: skip
WORKS: list[Any] = [pytest.param(action, maker, id=maker.__name__.replace("_", "-")) for action, maker in MAKERS]
OUTSIDE = {"webhook", "silence", "notify"}
"""What needs no cluster, and no right in it."""
