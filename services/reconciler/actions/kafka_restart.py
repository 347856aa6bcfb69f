"""Ask Strimzi to restart a connector or one of its tasks, or to roll pods, by the annotations that it listens to.

Strimzi does it in its own time, one broker after the other and never where a partition would be lost, and takes the
annotation away when it has: that is what the verification waits for. A Kafka or a KafkaConnect means all of its
StrimziPodSets. The action's mark stands beside the annotation, and a second run leaves what is marked alone; where the
operator has written the object anew in between, the mark is gone and it may be asked twice.
Source: strimzi.io/docs, "Performing manual rolling updates", "Restarting Kafka Connect connectors".
"""

from dataclasses import dataclass

from schemas.actions import KafkaRestart as Parameters
from schemas.events import FieldChange, Reason
from schemas.target import Target
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve, to_pointer
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import plural
from services.reconciler.actions.seen import Seen, annotations_of, conditioned, mark_of, named, refused, see, subject
from services.reconciler.guards.base import Denial

KAFKA, CORE = "kafka.strimzi.io", "core.strimzi.io"
CONNECTOR, POD, POD_SET = (KAFKA, "KafkaConnector"), ("", "Pod"), (CORE, "StrimziPodSet")
OF_SETS = ((KAFKA, "Kafka"), (KAFKA, "KafkaConnect"))
RESTART, RESTART_TASK = "strimzi.io/restart", "strimzi.io/restart-task"
ROLL = "strimzi.io/manual-rolling-update"
CLUSTER, KIND = "strimzi.io/cluster", "strimzi.io/kind"


@dataclass(frozen=True)
class Asked:
    """The objects that get the annotation, as they were found."""

    name: str
    value: str
    objects: tuple[Seen, ...]


class KafkaRestart(Operation[Parameters]):
    """The action `kafka-restart`."""

    name = "kafka-restart"
    example = "kafkaRestart: {object: KafkaConnector/streaming/orders-sink, task: 0}"

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        kinds = (CONNECTOR, POD_SET, POD, *OF_SETS)
        reference = parameters.object
        here = kinds if isinstance(reference, str) else ((reference.group, reference.kind),)
        sets = (Rule(CORE, "strimzipodsets", ("get", "list", "patch")),) if {*OF_SETS} & {*here} else ()
        verbs = {kind: ("get",) if kind in OF_SETS else ("get", "patch") for kind in here}
        return (*(Rule(group, plural(kind), verbs[group, kind]) for group, kind in here), *sets)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target, task = subject(scene), scene.parameters.task
        words = _words(target, task)
        refusal = _refusal(target, scene)
        if refusal:
            return refused(target, words, *refusal)
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if (target.group, target.kind) == POD and not _label(found.live, CLUSTER):
            return refused(target, words, Reason.PARAMETERS, "it is no pod of Strimzi's")
        asked = Asked(*_annotation(target, task), await _objects(found, scene))
        if not asked.objects:
            return refused(found.target, words, Reason.TARGET_GONE, "it has no StrimziPodSet")
        left = [one for one in asked.objects if mark_of(one.live) != scene.action_id]
        if not left:
            return Plan(found.target, words, so=True, ours=True, state=asked)
        for one in left:
            await scene.api.patch(one.target, _body(asked, one, scene.action_id), dry_run=True)
        diff = tuple(_change(asked, one) for one in left)
        return Plan(found.target, words, diff, tuple(one.target for one in left), state=asked)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        asked: Asked = plan.state
        for one in asked.objects:
            if mark_of(one.live) != scene.action_id:
                await scene.api.patch(one.target, _body(asked, one, scene.action_id))
        return Applied(state=asked)

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        asked: Asked = plan.state
        waiting = []
        for one in asked.objects:
            found = await see(scene, one.target)
            if isinstance(found, Seen) and asked.name in annotations_of(found.live):
                waiting.append(named(one.target))
        return f"Strimzi has not done it yet: {', '.join(waiting)}" if waiting else None


def _words(target: Target, task: int | None) -> str:
    if (target.group, target.kind) != CONNECTOR:
        return f"roll {named(target)} by Strimzi"
    return f"restart {named(target)}" + ("" if task is None else f", task {task}")


def _refusal(target: Target, scene: Scene[Parameters]) -> tuple[Reason, str] | None:
    kind = (target.group, target.kind)
    if kind not in (CONNECTOR, POD_SET, POD, *OF_SETS):
        return Reason.PARAMETERS, f"Strimzi restarts no {target.kind} on request"
    if scene.parameters.task is not None and kind != CONNECTOR:
        return Reason.PARAMETERS, "only a KafkaConnector has tasks"
    missing = [one for one in (kind, *((POD_SET,) if kind in OF_SETS else ())) if not scene.api.served(*one)]
    return (Reason.NOT_SERVED, f"the cluster serves no {missing[0][1]}.{missing[0][0]}") if missing else None


def _annotation(target: Target, task: int | None) -> tuple[str, str]:
    if (target.group, target.kind) != CONNECTOR:
        return ROLL, "true"
    return (RESTART, "true") if task is None else (RESTART_TASK, str(task))


async def _objects(found: Seen, scene: Scene[Parameters]) -> tuple[Seen, ...]:
    target = found.target
    if (target.group, target.kind) not in OF_SETS:
        return (found,)
    labels = f"{CLUSTER}={target.name},{KIND}={target.kind}"
    sets = await scene.api.list(*POD_SET, target.namespace, labels=labels)
    return tuple(
        Seen(target.model_copy(update={"group": CORE, "kind": "StrimziPodSet", "name": metadata_of(one)["name"],
                                       "uid": metadata_of(one)["uid"]}), one)
        for one in sorted(sets, key=lambda one: str(metadata_of(one)["name"]))
    )  # fmt: skip


def _body(asked: Asked, one: Seen, action_id: str) -> Object:
    body = {"metadata": {"annotations": {asked.name: asked.value, MARK: action_id}}}
    return conditioned(body, one.live, version=False)


def _change(asked: Asked, one: Seen) -> FieldChange:
    path = f"/{one.target.kind}/{one.target.name}" + to_pointer(("metadata", "annotations", asked.name))
    return FieldChange(path=path, kind="changed", desired=asked.value, live=annotations_of(one.live).get(asked.name))


def _label(live: Object, name: str) -> str:
    return str(resolve(metadata_of(live), ("labels", name)) or "")
