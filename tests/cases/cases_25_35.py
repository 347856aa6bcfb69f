"""Cases 25-35: what controllers, the server and tools write into what others declare, and the same by a person."""

import copy
from typing import Any

from services.kube.objects import LAST_APPLIED, Object
from tests.cases.case import MISSING, Case, Deployed, Maker, drift
from tests.cases.makers import LABELS, WEB, cluster_wide, config, of, workload
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene, with_last_applied
from tests.cases.words import ADDED, FALSE_ALARM, NO_DRIFT, SEEN, UNSEEN

CONTROLLER = "kube-controller-manager"
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
EVERY_WAY = (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)

ACCOUNT = of("v1", "ServiceAccount", metadata={"labels": LABELS})
BARE = of("v1", "ServiceAccount")
TOKENS = (
    Case(id="25-token-controller", title="the token controller adds secrets to a ServiceAccount", declared=ACCOUNT,
         then=lambda s: s.merge({"secrets": [{"name": "t"}], "imagePullSecrets": [{"name": "p"}]}, CONTROLLER),
         **NO_DRIFT),
    Case(id="25-token-controller-without-trace", declared=BARE,
         title="the same in an account applied by its name alone, where nothing is noted of anybody",
         then=lambda s: s.merge({"secrets": [{"name": "t"}]}, CONTROLLER), **NO_DRIFT),
    Case(id="25-beside-declared-secrets", title="the same beside a declared one",
         declared=of("v1", "ServiceAccount", secrets=[{"name": "mine"}]),
         then=lambda s: s.set("/secrets/-", {"name": "t"}, CONTROLLER), **NO_DRIFT),
    Case(id="25-secret-by-hand", title="a person adds a secret", declared=ACCOUNT,
         then=lambda s: s.merge({"secrets": [{"name": "t"}]}), expect=drift(("/secrets", "added"), manager=HAND),
         **ADDED),
    Case(id="25-pull-secret-by-hand", title="a person adds a pull secret beside the controller's secrets",
         declared=ACCOUNT, then=lambda s: tokens_and_pull_secret(s),
         expect=drift(("/imagePullSecrets", "added"), manager=HAND), **ADDED),
)  # fmt: skip


async def tokens_and_pull_secret(scene: Scene) -> None:
    await scene.merge({"secrets": [{"name": "t"}]}, CONTROLLER)
    await scene.merge({"imagePullSecrets": [{"name": "p"}]})


def aggregate(*, rules: Any = ()) -> Maker:
    """A ClusterRole that gathers the rules of those with its own name as a label; `rules` None leaves them out."""

    def make(namespace: str, name: str) -> Object:
        gather = {"clusterRoleSelectors": [{"matchLabels": {"gather": name}}]}
        parts: dict[str, Any] = {"aggregationRule": gather} | ({"rules": list(rules)} if rules is not None else {})
        return cluster_wide("rbac.authorization.k8s.io/v1", "ClusterRole", **parts)(namespace, name)

    return make


async def gathered(scene: Scene) -> None:
    """Kubernetes' own controller fills the rules."""
    source = cluster_wide("rbac.authorization.k8s.io/v1", "ClusterRole", rules=[RULE])(scene.namespace, scene.name)
    source["metadata"] |= {"name": f"{scene.name}-part", "labels": {"gather": scene.name}}
    await scene.create(source)
    await scene.until("/rules", lambda rules: rules == [RULE])


async def selected_otherwise(scene: Scene) -> None:
    await gathered(scene)
    await scene.set("/aggregationRule/clusterRoleSelectors", [{"matchLabels": {"gather": "other"}}])


ROLE = "rbac.authorization.k8s.io/v1", "Role"
RULES = (
    *(Case(id=f"26-aggregated-{how.name.lower()}", title=f"the controller fills an aggregated role, by {how.value}",
           declared=aggregate(), deployed=how, then=gathered, **FALSE_ALARM) for how in EVERY_WAY),
    Case(id="26-aggregated-without-rules", title="the same with no rules declared", declared=aggregate(rules=None),
         then=gathered, **FALSE_ALARM),
    Case(id="26-selector-by-hand", title="a person changes what is gathered", declared=aggregate(),
         then=selected_otherwise,
         expect=drift(("/aggregationRule/clusterRoleSelectors", "changed"), manager=HAND), **SEEN),
    *(Case(id=f"27-{name}", title=f"a role declared with {text}", declared=of(*ROLE, rules=rules), **NO_DRIFT)
      for name, text, rules in (("no-rules", "`rules: []`", []), ("null-rules", "`rules: null`", None))),
    Case(id="27-rule-by-hand", title="a person adds a rule where none are declared",
         declared=of(*ROLE, rules=[], metadata={"labels": LABELS}),
         then=lambda s: s.merge({"rules": [RULE]}), expect=drift(("/rules", "added"), manager=HAND), **SEEN),
)  # fmt: skip

ONCE: dict[str, Any] = {"restartPolicy": "Never", "containers": [{"name": "web", "image": "example.org/web:1"}]}


def job(**spec: Any) -> Maker:
    return of("batch/v1", "Job", spec={"template": {"spec": ONCE}, **spec})


CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
         "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
OLD_CLAIM: dict[str, Any] = copy.deepcopy(CLAIM)
OLD_CLAIM["spec"]["resources"]["requests"]["storage"] = "2Gi"
SET, OTHER_SET = (workload("StatefulSet", spec={"volumeClaimTemplates": [one]}) for one in (CLAIM, OLD_CLAIM))
JOBS = (
    *(Case(id=f"28-selector-{how.name.lower()}", title=f"a Job's own selector and labels, by {how.value}",
           declared=job(), deployed=how, **NO_DRIFT) for how in EVERY_WAY),
    Case(id="28-suspended-by-hand", title="a person suspends a Job", declared=job(),
         then=lambda s: s.set("/spec/suspend", True), expect=drift(("/spec/suspend", "added"), manager=HAND), **ADDED),
    Case(id="28-gone-by-its-ttl", title="a Job that was to go when it was done is gone",
         declared=job(ttlSecondsAfterFinished=60), deployed=Deployed.NOTHING, argocd="drift", flux="no drift"),
    Case(id="28-gone-without-a-ttl", title="a Job that was to stay is gone", declared=job(), deployed=Deployed.NOTHING,
         expect=MISSING, **SEEN),
    *(Case(id=f"29-claim-templates-{how.name.lower()}", title=f"defaults in claim templates, by {how.value}",
           declared=SET, deployed=how, **FALSE_ALARM) for how in EVERY_WAY),
    Case(id="29-another-claim-declared", title="the declaration wants other claims, which cannot change", declared=SET,
         stored=OTHER_SET, expect=drift(("/spec/volumeClaimTemplates", "changed"), manager="deployer",
                                        reason="immutable"), fix="immutable", argocd="drift",
         flux="refused"),
)  # fmt: skip

VOLUME: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def volume(namespace: str, name: str) -> Object:
    """A claim of a class of its own, which may grow."""
    return of("v1", "PersistentVolumeClaim", spec={**VOLUME, "storageClassName": name})(namespace, name)


async def bound(scene: Scene) -> None:
    """The volume controller binds the claim to a volume that waits for it."""
    kind = "storage.k8s.io/v1", "StorageClass"
    await scene.create(cluster_wide(*kind, provisioner="example.org/none", allowVolumeExpansion=True)("", scene.name))
    claim = {"namespace": scene.namespace, "name": scene.name}
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": scene.name,
            "hostPath": {"path": "/none"}, "claimRef": claim}  # fmt: skip
    await scene.create(cluster_wide("v1", "PersistentVolume", spec=spec)("", scene.name))
    await scene.until("/status/phase", lambda phase: phase == "Bound")


async def grown(scene: Scene) -> None:
    await bound(scene)
    await scene.set("/spec/resources/requests/storage", "2Gi")


STORAGE = ("/spec/resources/requests/storage", "changed")
VOLUMES = (
    *(Case(id=f"30-bound-{how.name.lower()}", title=f"the volume controller binds a claim, by {how.value}",
           declared=volume, deployed=how, then=bound, **NO_DRIFT) for how in EVERY_WAY),
    Case(id="30-grown-by-hand", title="a person makes a claim larger, which cannot shrink again", declared=volume,
         then=grown, expect=drift(STORAGE, manager=HAND, reason="immutable"), fix="immutable", argocd="drift",
         flux="refused"),
)  # fmt: skip


def exported(make: Maker, **metadata: Any) -> Maker:
    """The manifest with what only a server writes, as `kubectl get -o yaml` prints it."""

    def export(namespace: str, name: str) -> Object:
        obj = make(namespace, name)
        written = {"resourceVersion": "7", "uid": "0-0", "generation": 9, "creationTimestamp": "2020-01-01T00:00:00Z",
                   "managedFields": [{"manager": "old"}], "selfLink": "/x", **metadata}  # fmt: skip
        return {**obj, "metadata": {**obj["metadata"], **written}, "status": {"replicas": 7, "phase": "Old"}}

    return export


SPACE = cluster_wide("v1", "Namespace")
LABELLED = cluster_wide("v1", "Namespace", metadata={"labels": LABELS})
SERVERS = (
    Case(id="31-status-declared", title="a manifest with a status", declared=exported(workload(replicas=None)),
         stored=workload(), **NO_DRIFT),
    Case(id="32-exported", title="a manifest as the server printed it", declared=exported(config(a="1")),
         stored=config(a="1"), **NO_DRIFT),
    Case(id="32-revision", title="the Deployment controller counts revisions", declared=workload(),
         then=lambda s: s.until("/metadata/annotations/deployment.kubernetes.io~1revision"), **NO_DRIFT),
    *(Case(id=f"32-namespace-{how.name.lower()}", title=f"a Namespace's own label and finalizer, by {how.value}",
           declared=SPACE, deployed=how, **NO_DRIFT) for how in EVERY_WAY),
    Case(id="32-namespace-label-by-hand", title="a person labels a Namespace", declared=LABELLED,
         then=lambda s: s.merge({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}),
         expect=drift(("/metadata/labels/pod-security.kubernetes.io~1enforce", "added"), manager=HAND), **ADDED),
    Case(id="32-protected", title="the finalizer that protects a claim in use", declared=volume,
         then=lambda s: s.until("/metadata/finalizers"), **NO_DRIFT),
)  # fmt: skip


async def applied_by_a_person(scene: Scene) -> None:
    """`kubectl apply` of an own file, by somebody beside the deployer."""
    body = with_last_applied({**scene.obj, "data": {"a": "2", "b": "1"}})
    await scene.merge({"data": body["data"], "metadata": {"annotations": body["metadata"]["annotations"]}},
                      "kubectl-client-side-apply")  # fmt: skip


NOTE = {LAST_APPLIED: "{}"}
RANCHER = {"metadata": {"annotations": {"auth.management.cattle.io/creator": "norman"}}}
RESTARTED = {"spec": {"template": {"metadata": {"annotations": {
    "kubectl.kubernetes.io/restartedAt": "2026-11-24T10:00:00Z"}}}}}  # fmt: skip
TOOLS = (
    Case(id="33-last-applied", title="kubectl's note in the object", declared=config(a="1"),
         deployed=Deployed.CLIENT_APPLY, **NO_DRIFT),
    Case(id="33-last-applied-declared", title="kubectl's note in the manifest", stored=config(a="1"),
         declared=of("v1", "ConfigMap", data={"a": "1"}, metadata={"annotations": NOTE}), **NO_DRIFT),
    Case(id="33-note-by-hand", title="a person's kubectl leaves its note on what a deployer applied",
         declared=config(a="1"), then=lambda s: s.merge({"metadata": {"annotations": NOTE}}), **NO_DRIFT),
    Case(id="33-applied-by-hand", title="a person applies a file of her own, beside the deployer",
         declared=config(a="1"), then=applied_by_a_person,
         expect=drift(("/data/a", "changed"), ("/data/b", "added"), manager="kubectl-client-side-apply"), **SEEN),
    Case(id="34-cloud", title="the cloud's controller annotates", declared=config(a="1"),
         then=lambda s: s.merge(RANCHER, "cloud-controller-manager"), **NO_DRIFT),
    Case(id="34-platform-trusted", title="a platform's agent annotates, and the baseline trusts it",
         declared=config(a="1"), then=lambda s: s.merge(RANCHER, "rancher"), trusted=("rancher",), **NO_DRIFT),
    Case(id="34-platform-unknown", title="the same without trust: its interface writes by the same name",
         declared=config(a="1"), then=lambda s: s.merge(RANCHER, "rancher"),
         expect=drift(("/metadata/annotations/auth.management.cattle.io~1creator", "added"), manager="rancher"),
         **UNSEEN),
    *(Case(id=f"35-restarted-{name}", title=f"`kubectl rollout restart`, {text}", declared=declared,
           then=lambda s: s.merge(RESTARTED, "kubectl-rollout"), argocd="no drift", flux="reverted: a second rollout")
      for name, text, declared in (
          ("plain", "no pod annotations declared", workload()),
          ("annotated", "beside a declared pod annotation",
           workload(spec={"template": {"metadata": {"labels": LABELS, "annotations": {"a": "1"}},
                                       "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}]}}})))),
    Case(id="35-other-annotation-by-hand", title="a person restarts pods by an annotation of her own",
         declared=workload(), then=lambda s: s.set("/spec/template/metadata/annotations", {"restarted": "now"}),
         expect=drift(("/spec/template/metadata/annotations", "added"), manager=HAND), **ADDED),
    Case(id="35-restarted-and-changed", title="a restart together with another image: the image alone",
         declared=workload(), then=lambda s: restarted_and_changed(s),
         expect=drift((WEB + "/image", "changed"), manager=HAND), **SEEN),
)  # fmt: skip


async def restarted_and_changed(scene: Scene) -> None:
    await scene.merge(RESTARTED, "kubectl-rollout")
    await scene.set(WEB + "/image", "example.org/web:2")


CASES = (*TOKENS, *RULES, *JOBS, *VOLUMES, *SERVERS, *TOOLS)
