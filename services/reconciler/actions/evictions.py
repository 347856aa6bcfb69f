"""Ask for a pod's eviction, and understand the answer.

Shared by `delete-pod` and `drain`. "No" is no failure here: a PodDisruptionBudget says not now, and Strimzi's Drain
Cleaner answers for a broker's pod that its operator will roll it in its own time (HTTP 500, "The pod will be rolled by
the Strimzi Cluster Operator"; with its webhook in legacy mode the budget answers, 429). It notes so on the pod, but not
in a dry-run, so such a pod has to be asked for in earnest.
"""

from typing import Any

from schemas.events import Reason
from schemas.target import Target
from services.kube.api.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, TooManyRequests, Unavailable
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.operation import Scene
from services.reconciler.actions.seen import annotations_of, later, named
from services.reconciler.guards.base import Denial

MIRROR = "kubernetes.io/config.mirror"
STRIMZI = "strimzi.io/"
BUDGET = "disruption budget"
BUDGETS = "more than one poddisruptionbudget"  # which the eviction API has no answer to
WEBHOOK = "admission webhook"
AGAIN_S = 10.0
STRIMZI_S = 60.0  # its operator looks every two minutes


class PutOff(Invalid):
    """What was asked for is not to be now. `cause` is the reason, and no failure of the action."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial.message, 429, "put-off")
        self.denial = denial

    @property
    def cause(self) -> Reason:
        return self.denial.reason


async def evict(
    pod: Object, target: Target, scene: Scene[Any], *, grace: int | None = None, dry_run: bool = False
) -> Denial | None:
    """None where it is on its way, or gone already; else why not now. Raises ApiError for any other answer."""
    uid = str(metadata_of(pod)["uid"])
    try:
        await scene.api.evict(target, uid=uid, grace=grace, dry_run=dry_run)
    except (NotFound, Conflict):  # the uid is a precondition: another pod has the name by now
        return None
    except ApiError as error:
        denial = _understood(error, pod, target, scene)
        if denial is None:
            raise
        return denial
    return None


def _understood(error: ApiError, pod: Object, target: Target, scene: Scene[Any]) -> Denial | None:
    text = error.message.lower()
    if isinstance(error, Forbidden) or error.status == 0:
        return None
    if is_strimzi(pod) and (BUDGET in text or "strimzi" in text):
        return later(scene, Reason.LATER, f"Strimzi rolls {named(target)} in its own time", STRIMZI_S)
    if BUDGETS in text:
        return Denial(Reason.DISRUPTION_BUDGET, f"{named(target)} has more than one PodDisruptionBudget")
    seconds = error.retry_after if isinstance(error, Unavailable) and error.retry_after else AGAIN_S
    if isinstance(error, TooManyRequests) and BUDGET in text:
        message = f"a PodDisruptionBudget does not let {named(target)} go now"
        return later(scene, Reason.DISRUPTION_BUDGET, message, seconds)
    if isinstance(error, TooManyRequests) and WEBHOOK in text:
        return later(scene, Reason.LATER, f"a webhook does not let {named(target)} go now", seconds)
    return None


def is_strimzi(pod: Object) -> bool:
    """Whether Strimzi's operator looks after the pod."""
    labels = metadata_of(pod).get("labels")
    return isinstance(labels, dict) and any(str(name).startswith(STRIMZI) for name in labels)


def controller_of(pod: Object) -> dict[str, Any] | None:
    """The owner that would make it anew."""
    owners = metadata_of(pod).get("ownerReferences")
    found = (one for one in (owners if isinstance(owners, list) else ()) if one.get("controller"))
    return next(found, None)


def is_static(pod: Object) -> bool:
    """A kubelet's own pod, of which the API server only shows a mirror."""
    return MIRROR in annotations_of(pod) or (controller_of(pod) or {}).get("kind") == "Node"


def is_ending(pod: Object) -> bool:
    """Whether it is being deleted."""
    return bool(metadata_of(pod).get("deletionTimestamp"))


def target_of(pod: Object, cluster: str) -> Target:
    """A listed pod as a target."""
    metadata = metadata_of(pod)
    return Target(
        cluster=cluster, group="", kind="Pod", namespace=metadata["namespace"], name=metadata["name"],
        uid=metadata["uid"],
    )  # fmt: skip
