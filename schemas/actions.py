"""The parameters of every action, as policies write them. What an action does with them is its own file in
`services/reconciler/actions/`.

`subject()` names the object that is acted on, None where it is none of the cluster's. A field that may be taken from
the event is `Filled[…]`; defaults that are, come from `from_event`.
"""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from schemas.base import Duration, StrictModel
from schemas.reference import Ref, Reference
from schemas.template import Filled, from_event

LABEL = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"


class Parameters(StrictModel):
    """What all actions have. `about` is the field that names the object acted on."""

    about: ClassVar[str | None] = None
    timeout: Duration = Field(timedelta(seconds=30), description="for planning and writing, verification aside")

    def subject(self) -> Reference | None:
        """The object that is acted on. Only of filled parameters."""
        return getattr(self, self.about) if self.about else None


class Revert(Parameters):
    """Put an object back to its baseline. `recreate` allows it to delete an object, and make it anew, where a field
    that cannot change has to."""

    recreate: bool = False


class PruneAction(Parameters):
    """Delete an object that should not be there."""


class Restart(Parameters):
    """Roll a workload's pods, as `kubectl rollout restart` does."""

    about = "workload"
    workload: Filled[Ref] = from_event("workload")


class Scale(Parameters):
    """Set a workload's replicas, or change them by so many, within bounds."""

    about = "workload"
    workload: Filled[Ref] = from_event("workload")
    replicas: Filled[Annotated[int, Field(ge=0)]] | None = None
    by: Filled[int] | None = None
    min: int = Field(0, ge=0)
    max: int = Field(100, ge=0, description="never more than this, whatever 'by' comes to")

    @model_validator(mode="after")
    def _one_of(self) -> "Scale":
        if (self.replicas is None) == (self.by is None):
            raise ValueError("name one of replicas and by")
        return self


class DeletePod(Parameters):
    """Evict a pod, which respects PodDisruptionBudgets; `force` deletes it where the eviction stays refused."""

    about = "pod"
    pod: Filled[Ref] = from_event("pod")
    force: bool = False
    grace_period: Duration | None = Field(None, description="instead of the pod's own")
    standalone: bool = Field(False, description="also a pod that no controller would make anew")


class Rollback(Parameters):
    """Put a Deployment back to an earlier revision, the one before by default."""

    about = "workload"
    workload: Filled[Ref] = from_event("workload")
    revision: Filled[Annotated[int, Field(ge=1)]] | None = None


class Cordon(Parameters):
    """Keep new pods off a node."""

    about = "node"
    node: Filled[Ref] = from_event("node")


class Uncordon(Parameters):
    """Let pods onto a node again."""

    about = "node"
    node: Filled[Ref] = from_event("node")


class Drain(Parameters):
    """Cordon a node and evict its pods; those of DaemonSets stay."""

    about = "node"
    node: Filled[Ref] = from_event("node")
    timeout: Duration = timedelta(minutes=10)
    grace_period: Duration | None = None
    delete_empty_dir: bool = Field(False, description="also pods whose emptyDir volumes would be lost")


class Isolate(Parameters):
    """Cut a pod off the network with a policy of its own, which is lifted after `for`."""

    about = "pod"
    pod: Filled[Ref] = from_event("pod")
    lift_after: Duration = Field(timedelta(hours=1), alias="for", description="0s: until a person lifts it")
    engine: Literal["kubernetes", "cilium", "calico"] = "kubernetes"
    directions: tuple[Literal["ingress", "egress"], ...] = Field(("ingress", "egress"), min_length=1)
    allow_dns: bool = False


class _Marks(Parameters):
    about = "object"
    object: Filled[Ref] = from_event("object")
    set: dict[str, Filled[str]] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> "_Marks":
        if not self.set and not self.remove:
            raise ValueError("name what to set or to remove")
        return self


class Label(_Marks):
    """Set or remove labels of an object."""


class Annotate(_Marks):
    """Set or remove annotations of an object."""


class Patch(Parameters):
    """Patch an object; `merge` is RFC 7386, `json` a list of RFC 6902 operations."""

    about = "object"
    object: Filled[Ref] = from_event("object")
    merge: dict[str, Any] | None = Field(None, description="values may be templates at any depth")
    operations: tuple[dict[str, Any], ...] | None = Field(None, alias="json")

    @model_validator(mode="after")
    def _one_of(self) -> "Patch":
        if (self.merge is None) == (self.operations is None):
            raise ValueError("name one of merge and json")
        return self


class ApplyManifest(Parameters):
    """Server-side apply of one manifest under a field manager of the policy's own."""

    manifest: dict[str, Any] = Field(description="values may be templates at any depth")


class Suspend(Parameters):
    """Stop what runs by itself: a CronJob, an Argo CD Application's automated sync, a Flux Kustomization or
    HelmRelease, a Velero Schedule …"""

    about = "object"
    object: Filled[Ref] = from_event("object")
    lift_after: Duration = Field(timedelta(0), alias="for", description="resumed after this; 0s: never by itself")


class Resume(Parameters):
    """Let what was suspended run again."""

    about = "object"
    object: Filled[Ref] = from_event("object")


class ArgocdSync(Parameters):
    """Ask Argo CD to sync an Application."""

    about = "application"
    application: Filled[Ref] = from_event("application")
    revision: Filled[str] | None = None
    prune: bool = False


class FluxReconcile(Parameters):
    """Ask Flux to reconcile an object now."""

    about = "object"
    object: Filled[Ref] = from_event("object")


class VeleroBackup(Parameters):
    """Make a Velero Backup of namespaces."""

    namespaces: tuple[Filled[str], ...] = (from_event("namespace"),)
    velero_namespace: str = "velero"
    ttl: Duration = timedelta(days=7)
    storage_location: str | None = None


class KafkaRestart(Parameters):
    """Ask Strimzi to restart a connector, a connector's task, or to roll pods, by its own annotations."""

    about = "object"
    object: Filled[Ref] = from_event("object")
    task: Filled[Annotated[int, Field(ge=0)]] | None = Field(None, description="of a KafkaConnector")


class RunJob(Parameters):
    """Run a CronJob's job once, now."""

    about = "cron_job"
    cron_job: Filled[Ref]


class Evidence(Parameters):
    """Keep what a pod says and is, as events, before it is gone: its logs, its object, its Events."""

    about = "pod"
    pod: Filled[Ref] = from_event("pod")
    lines: int = Field(500, ge=1, le=10_000, description="of each container's log")
    previous: bool = Field(True, description="also of the container's life before")


class Webhook(Parameters):
    """POST a JSON document, signed by the Standard Webhooks rules."""

    url: str = Field(pattern=r"^https?://", description="never from an event")
    body: dict[str, Any] = Field(default_factory=dict, description="values may be templates at any depth")
    secret: str | None = Field(None, description="name of a file in SETPOINT_ACTION_SECRETS")
    headers: dict[str, str] = Field(default_factory=dict)


class Silence(Parameters):
    """Make a silence in Alertmanager for exactly this alert's labels."""

    url: str = Field(pattern=r"^https?://", description="of Alertmanager; never from an event")
    lasts: Duration = Field(timedelta(hours=1), alias="for")
    labels: tuple[str, ...] = Field((), description="which labels must match; all of them where none is named")
    secret: str | None = Field(None, description="name of a file in SETPOINT_ACTION_SECRETS: a bearer token")


class Notify(Parameters):
    """Tell people: an event that the messengers take up."""

    to: str = Field(min_length=1, description="a channel, such as '#platform-alerts'")
    message: Filled[str] = ""


ACTIONS: dict[str, type[Parameters]] = {
    "revert": Revert, "prune": PruneAction, "restart": Restart, "scale": Scale, "delete-pod": DeletePod,
    "rollback": Rollback, "cordon": Cordon, "uncordon": Uncordon, "drain": Drain, "isolate": Isolate, "label": Label,
    "annotate": Annotate, "patch": Patch, "apply-manifest": ApplyManifest, "suspend": Suspend, "resume": Resume,
    "argocd-sync": ArgocdSync, "flux-reconcile": FluxReconcile, "velero-backup": VeleroBackup,
    "kafka-restart": KafkaRestart, "run-job": RunJob, "evidence": Evidence, "webhook": Webhook, "silence": Silence,
    "notify": Notify,
}  # fmt: skip
"""By the action's name in events; policies write it in camelCase."""
