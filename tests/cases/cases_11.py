"""Case 11: replicas and resources that an autoscaler writes, and a person's scale beside it."""

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Peers, drift
from tests.cases.makers import WEB, definition, workload
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene

PEERS: Peers = {"argocd": "drift unless ignored", "flux": "drift unless left out or ignored"}
SEEN: Peers = {"argocd": "drift", "flux": "drift"}
TWO = workload(spec={"replicas": 2})
OPEN = workload()
REPLICAS = ("/spec/replicas", "changed")
CONTROLLER = "kube-controller-manager"
MEASURED = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
BOUNDS = {name: {"type": "integer"} for name in ("minReplicaCount", "maxReplicaCount")}


async def autoscale(scene: Scene, least: int = 3, most: int = 6) -> Object:
    """Put an autoscaler on the case's object."""
    target = {"apiVersion": scene.obj["apiVersion"], "kind": scene.obj["kind"], "name": scene.name}
    return await scene.create({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": scene.name, "namespace": scene.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most},
    })  # fmt: skip


async def scaled_by_autoscaler(scene: Scene) -> None:
    """The real controller brings the object up to its lower bound."""
    await autoscale(scene)
    await scene.until("/spec/replicas", lambda found: found == 3)


async def keda(scene: Scene) -> None:
    """Have KEDA's kind served, and one that targets the object by name alone, as most do."""
    fields = {"scaleTargetRef": MEASURED, **BOUNDS}
    await scene.share(definition("keda.sh", "ScaledObject", fields, "v1alpha1"))
    await scene.create({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": scene.name, "namespace": scene.namespace},
        "spec": {"scaleTargetRef": {"name": scene.name}, "maxReplicaCount": 5},
    })  # fmt: skip


async def scaled_to_zero_beside_an_autoscaler(scene: Scene) -> None:
    """An autoscaler of one or more stays away from 0."""
    await autoscale(scene, least=1)
    await scene.scale(0)


async def untracked(scene: Scene, replicas: int) -> None:
    """Wipe the object's trace and scale it, which then leaves none."""
    await scene.merge({"metadata": {"managedFields": [{}]}})
    await scene.scale(replicas)


async def untracked_beside_an_autoscaler(scene: Scene, replicas: int) -> None:
    """The same with an autoscaler there that may choose between 1 and 6, and has nothing to measure."""
    await autoscale(scene, least=1)
    await untracked(scene, replicas)


async def corrected_and_scaled(scene: Scene) -> None:
    """The autoscaler works on, and a person changes something else."""
    await scaled_by_autoscaler(scene)
    await scene.set(WEB + "/image", "example.org/web:2")


SCALED = (
    *(Case(id=f"11-autoscaled-{how.name.lower()}", declared=TWO, deployed=how, then=scaled_by_autoscaler,
           title=f"an autoscaler scales from 2 to 3, deployed by {how.value}", **PEERS)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="11-autoscaled-statefulset", declared=workload("StatefulSet", spec={"replicas": 2}),
         then=scaled_by_autoscaler, title="the same with a StatefulSet", **PEERS),
    Case(id="11-autoscaled-undeclared", declared=OPEN, then=scaled_by_autoscaler, argocd="no drift", flux="no drift",
         title="the same where no replicas are declared"),
    Case(id="11-autoscaled-and-edited", declared=TWO, then=corrected_and_scaled,
         title="the same, and a person changes the image: the image alone is drift",
         expect=drift((WEB + "/image", "changed"), manager=HAND), argocd="drift in both unless ignored",
         flux="drift in both unless ignored"),
    Case(id="11-keda-scales-to-zero", declared=TWO, before=keda, then=lambda s: s.scale(0, "keda-operator"),
         title="KEDA scales to 0, which leaves no owner", **PEERS),
    Case(id="11-keda-scales-up", declared=TWO, then=lambda s: s.scale(4, "keda-operator"),
         title="KEDA's operator is a known controller", **PEERS),
    Case(id="11-trace-wiped-beside-autoscaler", declared=TWO, then=lambda s: untracked_beside_an_autoscaler(s, 4),
         title="nobody is noted for 4 replicas, and an autoscaler may choose 1 to 6", **PEERS),
    Case(id="11-trusted-scaler", declared=TWO, trusted=("our-scaler",), then=lambda s: s.scale(4, "our-scaler"),
         title="a scaler that the baseline trusts", **PEERS),
    Case(id="11-replicas-left-to-others", ignore=("/spec/replicas",), declared=TWO, then=lambda s: s.scale(4),
         title="a rule leaves replicas to others", argocd="no drift", flux="no drift"),
    Case(id="11-replicas-left-by-annotation", then=lambda s: s.scale(4), argocd="no such annotation",
         declared=workload(spec={"replicas": 2}, metadata={"annotations": {"setpoint.dev/ignore": "/spec/replicas"}}),
         title="the manifest's own annotation leaves them", flux="no such annotation"),
)  # fmt: skip

BY_HAND = (
    *(Case(id=f"11-scaled-by-hand-{how.name.lower()}", declared=TWO, deployed=how, then=lambda s: s.scale(5, "kubectl"),
           title=f"a person scales to 5 (`kubectl scale`), deployed by {how.value}",
           expect=drift(REPLICAS, manager="kubectl"), **SEEN)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="11-edited-by-hand", declared=TWO, then=lambda s: s.set("/spec/replicas", 5),
         title="a person writes 5 (`kubectl edit`)", expect=drift(REPLICAS, manager=HAND), **SEEN),
    Case(id="11-scaled-to-zero-by-hand", declared=TWO, then=lambda s: s.scale(0, "kubectl"),
         title="a person scales to 0: nothing proves who", expect=drift(REPLICAS), **SEEN),
    Case(id="11-scaled-to-zero-beside-autoscaler", declared=TWO, then=scaled_to_zero_beside_an_autoscaler,
         title="the same beside an autoscaler, which 0 switches off", expect=drift(REPLICAS), **SEEN),
    Case(id="11-trace-wiped-out-of-bounds", declared=TWO, then=lambda s: untracked(s, 4),
         title="nobody is noted for 4 replicas, and there is no autoscaler", expect=drift(REPLICAS), **SEEN),
    Case(id="11-unknown-scaler", declared=TWO, then=lambda s: s.scale(4, "our-scaler"),
         title="a scaler that nobody trusts", expect=drift(REPLICAS, manager="our-scaler"), **SEEN),
    Case(id="11-undeclared-scaled-by-hand", declared=OPEN, deployed=Deployed.POST, then=lambda s: s.scale(5, "kubectl"),
         title="a person scales where no replicas are declared, and their creator owned them", argocd="not seen",
         flux="drift by kubectl only", expect=drift(("/spec/replicas", "added"), manager="kubectl")),
    Case(id="11-unowned-scaled-by-hand", declared=OPEN, then=lambda s: s.scale(5, "kubectl"),
         title="the same where nobody owned them: that leaves no trace, so nobody can tell it from an autoscaler's",
         argocd="not seen", flux="not seen"),
)  # fmt: skip

LIMITED = workload(resources={"requests": {"cpu": "100m", "memory": "64Mi"}})
REQUEST = WEB + "/resources/requests/cpu"
VERTICAL = (
    Case(id="11-vertical-autoscaler", declared=LIMITED, then=lambda s: s.set(REQUEST, "250m", "vpa-updater"),
         title="a vertical autoscaler writes requests", **PEERS),
    Case(id="11-requests-by-hand", declared=LIMITED, then=lambda s: s.set(REQUEST, "250m"),
         title="a person writes requests", expect=drift((REQUEST, "changed"), manager=HAND), **SEEN),
)  # fmt: skip

CASES = (*SCALED, *BY_HAND, *VERTICAL)
