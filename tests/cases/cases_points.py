"""What a real API server taught about engines that rely on its dry-run and on managedFields, beside the catalogue.

Point 1: a creator owns defaults. 2: the scale subresource. 3: objects that are not tracked. 4: webhooks own nothing.
5: a dry-run that is refused where drift is certain. 6: dry-runs that differ where nothing does. 8: text as it is.
9: values that YAML reads otherwise. 10: refusals that look like a broken server. 11: core managers by other names.
"""

from typing import Any

from services.kube.api.session import JSON_PATCH
from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Step, drift
from tests.cases.cases_17_20 import after_webhook
from tests.cases.makers import (
    POD,
    WEB,
    cluster_wide,
    config,
    definition,
    of,
    service,
    widget,
    widgets,
    workload,
)
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene
from tests.cases.words import ADDED, FALSE_ALARM, NO_DRIFT, SEEN, UNSEEN, Words
from tests.webhooks import Mode

REFUSED: Words = {"argocd": "drift", "flux": "no verdict: the apply is refused"}


async def created(scene: Scene) -> None:
    """By somebody whom the baseline does not name."""
    await scene.create(scene.obj, "installer")


async def created_and_edited(scene: Scene) -> None:
    await created(scene)
    await scene.set(WEB + "/env", [{"name": "DEBUG", "value": "1"}])


SERVED = service(ports=[{"name": "web", "port": 80}])
CREATORS = tuple(
    Case(id=f"6.1-01-creator-of-a-{name}", title=f"an unknown installer creates a {name} and owns all its defaults",
         declared=declared, deployed=Deployed.NOTHING, then=created, **NO_DRIFT)
    for name, declared in (("deployment", workload()), ("statefulset", workload("StatefulSet")), ("service", SERVED))
)  # fmt: skip
EDITED = Case(id="6.1-01-edit-beside-the-creators-defaults", title="the same, and a person adds variables",
              declared=workload(), deployed=Deployed.NOTHING, then=created_and_edited,
              expect=drift((WEB + "/env", "added"), manager=HAND), **ADDED)  # fmt: skip

REPLICAS = ("/spec/replicas", "changed")
THREE = workload(spec={"replicas": 3})
SCALED = (
    Case(id="6.1-02-scaled-by-hand", title="a person scales what is declared", declared=THREE,
         then=lambda s: s.scale(5, "kubectl-scale"), expect=drift(REPLICAS, manager="kubectl-scale"), **SEEN),
    Case(id="6.1-02-scaled-to-none", title="scaled to 0, which leaves no trace of anybody", declared=THREE,
         then=lambda s: s.scale(0, "kubectl-scale"), expect=drift(REPLICAS), **SEEN),
    Case(id="6.1-02-scaled-where-nobody-owns", title="scaled where nobody owned the number: no trace either",
         declared=THREE, stored=workload(), then=lambda s: s.scale(5, "kubectl-scale"), expect=drift(REPLICAS), **SEEN),
    Case(id="6.1-02-scaled-undeclared", title="scaled where no number is declared", declared=workload(),
         then=lambda s: s.scale(5, "some-autoscaler"), **NO_DRIFT),
)  # fmt: skip


def wiped_then(*operations: dict[str, Any]) -> Step:
    """Somebody wipes managedFields, after which nothing is noted of any writer; then a person writes."""

    async def step(scene: Scene) -> None:
        await scene.until("/metadata/annotations")  # its controller has written what it writes
        await scene.merge({"metadata": {"managedFields": [{}]}})
        if operations:
            await scene.client.patch(scene.obj, list(operations), HAND, JSON_PATCH)

    return step


def put(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


BARE = of("v1", "ServiceAccount")
UNTRACKED = (
    Case(id="6.1-03-wiped", title="managedFields were wiped, and nothing else", declared=workload(), then=wiped_then(),
         **NO_DRIFT),
    Case(id="6.1-03-wiped-and-changed", title="wiped, then changed: the author is unknown", declared=workload(),
         then=wiped_then(put(WEB + "/image", "example.org/web:2")), expect=drift((WEB + "/image", "changed")), **SEEN),
    Case(id="6.1-03-wiped-and-added", title="wiped, then added: the author is unknown, and it is not hidden",
         declared=workload(), then=wiped_then(put(POD + "/hostPID", True)),
         expect=drift((POD + "/hostPID", "added")), **UNSEEN),
    Case(id="6.1-03-wiped-sidecar", title="the same with a container and a label", declared=workload(),
         then=wiped_then(put(POD + "/containers/-", {"name": "side", "image": "example.org/side:1"}),
                         put("/metadata/labels", {"by": "hand"})),
         expect=drift((POD + "/containers/1", "added"), ("/metadata/labels/by", "added")), **UNSEEN),
    Case(id="6.1-03-name-only", title="an account applied by its name alone, where nothing is noted of anybody",
         declared=BARE, **NO_DRIFT),
    Case(id="6.1-03-name-only-and-added", title="the same, and a person adds an annotation: the author is unknown",
         declared=BARE, then=lambda s: s.merge({"metadata": {"annotations": {"role": "admin"}}}),
         expect=drift(("/metadata/annotations/role", "added")), **UNSEEN),
    Case(id="6.1-03-namespace-by-name-only", title="a Namespace applied by its name alone", **NO_DRIFT,
         declared=cluster_wide("v1", "Namespace")),
)  # fmt: skip

NOTE = {"metadata": {"annotations": {"note": "x"}}}
NOBODYS = (
    Case(id="6.1-04-webhook-in-a-persons-write", declared=workload(),
         title="a webhook comes later and rewrites the image within a person's write of an annotation",
         then=lambda s: after_webhook(s, Mode.IMAGES, lambda: s.merge(NOTE)),
         expect=drift(("/metadata/annotations/note", "added"), manager=HAND),
         local=drift(("/metadata/annotations/note", "added"), (WEB + "/image", "changed"),
                     manager={"/metadata/annotations/note": HAND, WEB + "/image": "deployer"}),
         because="only the server can ask its webhooks", **ADDED),
)  # fmt: skip

EMPTY: Object = {"name": "data", "emptyDir": {}}
SWAPPED = [{"name": "data", "configMap": {"name": "x"}}]
RECREATE = workload(spec={"strategy": {"type": "Recreate"}})
ROLLING = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}


def growing(scene: Scene) -> Object:
    """A kind whose size may only grow, by a rule of its definition."""
    size = {"type": "integer", "x-kubernetes-validations": [
        {"rule": "self >= oldSelf", "message": "the size may only grow"}]}  # fmt: skip
    return definition(f"{scene.name}.example.org", "Disk", {"size": size})


def disk(namespace: str, name: str) -> Object:
    return of(f"{name}.example.org/v1", "Disk", spec={"size": 1})(namespace, name)


def swap(obj: Object) -> None:
    obj["spec"]["template"]["spec"]["volumes"] = SWAPPED


REFUSALS = (
    Case(id="6.1-05-port-renumbered", title="a person renumbers a Service's port", declared=SERVED,
         then=lambda s: s.edit(lambda obj: obj["spec"].update(ports=[{"name": "web", "port": 81}])),
         expect=drift(("/spec/ports/0", "removed"), ("/spec/ports/0", "added"), manager=HAND, reason="invalid"),
         **REFUSED),
    Case(id="6.1-05-volume-swapped", title="a person swaps a volume's source",
         declared=workload(pod={"volumes": [EMPTY]}),
         then=lambda s: s.edit(swap),
         expect=drift((POD + "/volumes/0/emptyDir", "removed"), (POD + "/volumes/0/configMap", "added"), manager=HAND,
                      reason="invalid"), **REFUSED),
    Case(id="6.1-05-strategy-switched", title="a person switches from Recreate to RollingUpdate", declared=RECREATE,
         then=lambda s: s.merge(ROLLING),
         expect=drift(("/spec/strategy/type", "changed"), ("/spec/strategy/rollingUpdate", "added"), manager=HAND,
                      reason="invalid"), **REFUSED),
    Case(id="6.1-05-transition-rule", title="a person raises what may only grow", declared=disk,
         before=lambda s: s.serve(growing(s)), then=lambda s: s.set("/spec/size", 5),
         expect=drift(("/spec/size", "changed"), manager=HAND, reason="invalid"), fix="immutable", **REFUSED),
)  # fmt: skip

TWO = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
ORDERED: dict[str, Any] = {"entries": [{"name": "a"}, {"name": "b"}], "tags": ["x", "y"], "period": "90m"}
REORDERED = {"spec": {"entries": [{"name": "b"}, {"name": "a"}], "tags": ["y", "x"], "period": "1h30m"}}
SAME = (
    Case(id="6.1-06-variables-reordered", title="a person turns the order of variables round",
         declared=workload(env=TWO),
         then=lambda s: s.edit(lambda obj: obj["spec"]["template"]["spec"]["containers"][0]["env"].reverse()),
         **FALSE_ALARM),
    Case(id="6.1-06-custom-reordered", title="the same of a custom resource's items and set, and a duration respelled",
         declared=widget(**ORDERED), before=widgets, then=lambda s: s.merge(REORDERED), **FALSE_ALARM),
    Case(id="6.1-06-custom-reordered-and-changed", title="the same, and one item is changed: that alone is drift",
         declared=widget(**ORDERED), before=widgets,
         then=lambda s: s.merge({"spec": {"entries": [{"name": "b", "size": 7}, {"name": "a"}]}}),
         expect=drift(("/spec/entries/0/size", "added"), manager=HAND), **ADDED),
)  # fmt: skip

ODD = {"emoji": "\U0001f600", "right-to-left": "\u05e9\u05dc\u05d5\u05dd", "escape": "\\ud83d\\ude00", "tab": "a\tb\n"}
READ = {"time": "12:30", "date": "2026-11-24", "octal": "0o644", "float": "1e3", "yes": "y", "no": "no", "null": "null"}
TEXTS = (
    Case(id="6.1-08-text", title="text beyond ASCII, as it is", declared=config(**ODD), **NO_DRIFT),
    Case(id="6.1-08-text-changed", title="a person changes such text, and it is put back", declared=config(**ODD),
         then=lambda s: s.set("/data/emoji", "\U0001f641"), expect=drift(("/data/emoji", "changed"), manager=HAND),
         **SEEN),
    Case(id="6.1-09-values", title="texts that YAML reads as times, numbers and booleans", declared=config(**READ),
         **NO_DRIFT),
    Case(id="6.1-09-names", title="labels of such names and values", **NO_DRIFT,
         declared=of("v1", "ConfigMap", data={"y": "n"}, metadata={"labels": {"y": "1e3", "on": "off"}})),
    Case(id="6.1-10-duplicate-keys", title="a variable declared twice, beside an image that a person changed",
         declared=workload(env=[TWO[0], TWO[0]]), deployed=Deployed.POST,
         then=lambda s: s.set(WEB + "/image", "example.org/web:2"),
         expect=drift((WEB + "/image", "changed"), manager=HAND, reason="invalid"), fix="immutable", argocd="drift",
         flux="no verdict: the apply is refused"),
)  # fmt: skip

CASES = (*CREATORS, EDITED, *SCALED, *UNTRACKED, *NOBODYS, *REFUSALS, *SAME, *TEXTS)
