"""Run a CronJob's job once, now, as `kubectl create job --from` does.

The Job's name is made of the action's id, so that a second run finds the first one's. It belongs to the CronJob, whose
history limits clean it up. Where the CronJob forbids two at once and one is running, it waits: the Jobs are looked at,
since `status.active` knows only those that its own controller has started. What a job did cannot be taken back.
"""

from schemas.actions import RunJob as Parameters
from schemas.events import FieldChange, Reason
from schemas.target import Target
from services.kube.api.errors import Conflict
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import Seen, later, mark_of, named, refused, see, subject
from services.reconciler.guards.base import Denial

CRON_JOB = ("batch", "CronJob")
LONGEST = 63  # of a Job's name, which becomes a label of its pods
BUSY_S = 30.0


class RunJob(Operation[Parameters]):
    """The action `run-job`."""

    name = "run-job"
    example = "runJob: {cronJob: CronJob/payments/report}"

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return Rule("batch", "cronjobs", ("get",)), Rule("batch", "jobs", ("get", "list", "create"))

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"run {named(target)} once"
        if (target.group, target.kind) != CRON_JOB:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no CronJob")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        job = job_of(found.target, scene.action_id)
        live = await scene.api.get(job)
        if live is not None:
            ours = mark_of(live) == scene.action_id
            denial = None if ours else Denial(Reason.CONFLICT, f"somebody else's Job is named {job.name}")
            return Plan(found.target, words, so=ours, ours=ours, denial=denial)
        if resolve(found.live, ("spec", "concurrencyPolicy")) == "Forbid" and await _is_running(found, scene):
            return Plan(found.target, words, denial=later(scene, Reason.LATER, "a job of it is running", BUSY_S))
        manifest = manifest_of(found, job, scene.action_id)
        await scene.api.create(manifest, dry_run=True)
        change = FieldChange(path="/spec", kind="removed", desired=manifest["spec"], live=None)
        return Plan(found.target, words, (change,), (job,), state=manifest)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        assert plan.target
        job = job_of(plan.target, scene.action_id)
        if not plan.so:
            await _create(plan.state, job, scene)
        return Applied(state=job, words=f"Job {job.namespace}/{job.name}")

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        live = await scene.api.get(job_of(subject(scene), scene.action_id))
        return not_complete(live) if live else "the Job has been deleted"


def not_complete(live: Object) -> str | None:
    """What is missing until the Job is complete, or how it failed, in words."""
    status = live.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return None
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            said = " ".join(str(condition.get("message") or "").split())[:300]
            return f"the Job failed, {condition.get('reason') or 'without a reason'}" + (f": {said}" if said else "")
    return f"the Job is not complete: {status.get('active') or 0} active, {status.get('failed') or 0} failed"


def has_ended(job: Object) -> bool:
    """Whether nothing of it runs any more, by its controller's word."""
    conditions = resolve(job, ("status", "conditions")) or ()
    return any(one.get("status") == "True" and one.get("type") in ("Complete", "Failed") for one in conditions)


def job_of(cron_job: Target, action_id: str) -> Target:
    """The Job that this action makes."""
    ending = f"-setpoint-{action_id[:10]}"
    name = cron_job.name[: LONGEST - len(ending)].rstrip("-.") + ending
    return cron_job.model_copy(update={"kind": "Job", "name": name, "uid": None})


def owner_of(job: Object) -> str | None:
    """The uid of the one that made it, or that it was made for."""
    owners = metadata_of(job).get("ownerReferences") or ()
    return next((str(one.get("uid")) for one in owners if one.get("controller")), None)


def manifest_of(found: Seen, job: Target, action_id: str) -> Object:
    """The CronJob's template as a Job."""
    template = resolve(found.live, ("spec", "jobTemplate")) or {}
    metadata = metadata_of(template)
    notes = {"cronjob.kubernetes.io/instantiate": "manual", MARK: action_id}
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": found.target.name, "uid": found.uid}
    return {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": job.name, "namespace": job.namespace, "labels": dict(metadata.get("labels") or {}),
            "annotations": {**(metadata.get("annotations") or {}), **notes},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": template.get("spec") or {},
    }  # fmt: skip


async def _is_running(found: Seen, scene: Scene[Parameters]) -> bool:
    jobs = await scene.api.list("batch", "Job", found.target.namespace)
    return any(owner_of(job) == found.uid and not has_ended(job) for job in jobs)


async def _create(manifest: Object, job: Target, scene: Scene[Parameters]) -> None:
    try:
        await scene.api.create(manifest)
    except Conflict:
        live = await scene.api.get(job)
        if live is None or mark_of(live) != scene.action_id:
            raise
