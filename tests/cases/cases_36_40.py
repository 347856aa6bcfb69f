"""Cases 36-40: versions of kinds, definitions that change, fields without a schema, scopes, random values."""

from collections.abc import Callable
from typing import Any

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Maker, Step, drift, unjudged
from tests.cases.makers import autoscaler, cluster_wide, config, definition, of, widget, widgets
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene
from tests.cases.words import ADDED, FALSE_ALARM, NO_DRIFT, SEEN, UNSEEN

EVERY_WAY = (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}
OLD = of("autoscaling/v1", "HorizontalPodAutoscaler",
         spec={"scaleTargetRef": TARGET, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70})  # fmt: skip
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
NEW = autoscaler(metrics=[CPU])


def in_new(change: dict[str, Any]) -> Step:
    """A person writes through the newer version, which her client prefers."""

    async def write(scene: Scene) -> None:
        obj = NEW(scene.namespace, scene.name)
        await scene.client.patch(obj, change, HAND)

    return write


VERSIONS = (
    *(Case(id=f"36-older-version-declared-{how.name.lower()}", deployed=how, declared=OLD,
           title=f"an autoscaler declared in v1, which the server keeps as v2, by {how.value}", **FALSE_ALARM)
      for how in EVERY_WAY),
    Case(id="36-stored-by-a-newer-version", title="declared in v1, and deployed in v2 with the same meaning",
         declared=OLD, stored=NEW, **FALSE_ALARM),
    Case(id="36-newer-version-declared", title="declared in v2, and deployed in v1 with the same meaning",
         declared=NEW, stored=OLD, **FALSE_ALARM),
    Case(id="36-changed-in-the-newer-version", title="a person changes through v2 what is declared in v1",
         declared=OLD, then=in_new({"spec": {"maxReplicas": 9}}),
         expect=drift(("/spec/maxReplicas", "changed"), manager=HAND), **SEEN),
    Case(id="36-converted-field-changed", title="the same of a field that has another name in v1: nothing proves who",
         declared=OLD, then=in_new({"spec": {"metrics": [
             {"type": "Resource", "resource": {
                 "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 5}}}]}}),
         expect=drift(("/spec/targetCPUUtilizationPercentage", "changed")), **SEEN),
    Case(id="36-not-served", title="declared in a version that is not served any more",
         declared=of("autoscaling/v2beta2", "HorizontalPodAutoscaler", spec={"maxReplicas": 3}),
         deployed=Deployed.NOTHING, expect=unjudged("not-served"), argocd="error", flux="the whole apply fails"),
    Case(id="36-no-such-kind", title="a kind that the cluster does not know",
         declared=of("none.example.org/v1", "None"), deployed=Deployed.NOTHING,
         expect=unjudged("not-served"), argocd="error", flux="the whole apply fails"),
)  # fmt: skip

SIZE: dict[str, Any] = {"size": {"type": "integer"}}
WITH_MODE: dict[str, Any] = SIZE | {"mode": {"type": "string", "default": "fast"}}


def own_group(name: str) -> str:
    return f"{name}.example.org"


def plan(version: str = "v1", **spec: Any) -> Maker:
    """A resource of a kind of the case's own."""

    def make(namespace: str, name: str) -> Object:
        return of(f"{own_group(name)}/{version}", "Plan", spec=spec)(namespace, name)

    return make


def defined(*versions: tuple[str, dict[str, Any], bool]) -> Callable[[str], Object]:
    """A definition by name: (version, fields of the spec, served) each; the last one is stored."""

    def make(name: str) -> Object:
        made = [definition(own_group(name), "Plan", fields, version) for version, fields, _ in versions]
        whole = made[-1]
        parts = [one["spec"]["versions"][0] | {"served": served, "storage": False}
                 for one, (_, _, served) in zip(made, versions, strict=True)]  # fmt: skip
        parts[-1]["storage"] = True
        return {**whole, "spec": {**whole["spec"], "versions": parts}}

    return make


def serve(make: Callable[[str], Object]) -> Step:
    async def step(scene: Scene) -> None:
        await scene.serve(make(scene.name))

    return step


def migrate(make: Callable[[str], Object], pointer: str = "", value: Any = None) -> Step:
    """Change the definition while the resource stands; then maybe a person changes a field."""

    async def step(scene: Scene) -> None:
        after = make(scene.name)
        await scene.client.patch(after, {"spec": {"versions": after["spec"]["versions"]}}, "kubectl-replace")
        await scene.served(after)
        if pointer:
            await scene.set(pointer, value)

    return step


ONLY_V1 = defined(("v1", SIZE, True))
V1_WITH_DEFAULT = defined(("v1", WITH_MODE, True))
BOTH = defined(("v1", SIZE, True), ("v2", WITH_MODE, True))
V1_RETIRED = defined(("v1", SIZE, False), ("v2", WITH_MODE, True))
DROPPED = defined(("v1", SIZE | {"old": {"type": "string"}}, True))
SAME_KIND = (
    *(Case(id=f"37-default-added-{how.name.lower()}", title=f"a definition gets a default, by {how.value}",
           declared=plan(size=1), before=serve(ONLY_V1), deployed=how, then=migrate(V1_WITH_DEFAULT), **NO_DRIFT)
      for how in EVERY_WAY),
    *(Case(id=f"37-version-added-{how.name.lower()}", title=f"the same with a new stored version, by {how.value}",
           declared=plan(size=1), before=serve(ONLY_V1), deployed=how, then=migrate(BOTH), **NO_DRIFT)
      for how in EVERY_WAY),
    Case(id="37-newer-version-declared", title="declared in the new version, while the old one is noted in the object",
         declared=plan("v2", size=1), stored=plan("v1", size=1), before=serve(BOTH), then=migrate(BOTH),
         argocd="no drift", flux="refused until it rewrites managedFields"),
    Case(id="37-version-retired", title="declared in the new version, and the old one is no longer served",
         declared=plan("v2", size=1), stored=plan("v1", size=1), before=serve(BOTH), then=migrate(V1_RETIRED),
         argocd="no drift", flux="refused until it rewrites managedFields"),
    Case(id="37-field-dropped", title="a definition drops a field that nobody declares any more",
         declared=plan(size=1), stored=plan(size=1, old="x"), before=serve(DROPPED), then=migrate(ONLY_V1), **NO_DRIFT),
    Case(id="37-changed-after-the-migration", title="a person changes the resource after the new version came",
         declared=plan(size=1), before=serve(ONLY_V1), then=migrate(BOTH, "/spec/size", 9),
         expect=drift(("/spec/size", "changed"), manager=HAND), **SEEN),
    Case(id="37-new-default-changed", title="a person changes the new default", declared=plan("v2", size=1),
         before=serve(BOTH), then=migrate(BOTH, "/spec/mode", "slow"),
         expect=drift(("/spec/mode", "added"), manager=HAND), **ADDED),
    Case(id="37-new-default-changed-beside-an-old-entry", declared=plan("v2", size=1), stored=plan("v1", size=1),
         title="the same where the deployer's entry is of the old version: the server then notes nobody, a blind spot",
         before=serve(BOTH), then=migrate(BOTH, "/spec/mode", "slow"), **UNSEEN),
)  # fmt: skip

FREE: dict[str, Any] = {"template": {"kind": {"a": 1, "list": [1, {"x": "1"}], "none": {}}, "text": "1Gi"}}
SPELLED: dict[str, Any] = {"amount": "1000m", "port": "80", "period": "90m"}
UNKNOWN = (
    *(Case(id=f"38-without-schema-{how.name.lower()}", title=f"fields that the schema leaves open, by {how.value}",
           declared=widget(**FREE), before=widgets, deployed=how, **NO_DRIFT) for how in EVERY_WAY),
    Case(id="38-changed", title="a person changes one", declared=widget(**FREE), before=widgets,
         then=lambda s: s.set("/spec/template/kind/a", 2),
         expect=drift(("/spec/template/kind/a", "changed"), manager=HAND), **SEEN),
    Case(id="38-spelled-otherwise-is-another-value", title="no schema says that a text is a quantity: it has changed",
         declared=widget(**FREE), before=widgets, then=lambda s: s.set("/spec/template/text", "1024Mi"),
         expect=drift(("/spec/template/text", "changed"), manager=HAND), **SEEN),
    Case(id="38-list-changed", title="a list without schema is one value", declared=widget(**FREE), before=widgets,
         then=lambda s: s.set("/spec/template/kind/list/0", 2),
         expect=drift(("/spec/template/kind/list", "changed"), manager=HAND), **SEEN),
    Case(id="38-removed", title="a person removes one", declared=widget(**FREE), before=widgets,
         then=lambda s: s.unset("/spec/template/kind/a"), expect=drift(("/spec/template/kind/a", "removed")), **SEEN),
    Case(id="38-spelled-otherwise", title="a quantity, a port and a duration of a custom resource, spelled otherwise",
         declared=widget(**SPELLED), before=widgets,
         then=lambda s: s.merge({"spec": {"amount": "1", "port": 80, "period": "1h30m"}}, "widgetry"),
         trusted=("widgetry",), **FALSE_ALARM),
    Case(id="38-another-amount", title="another quantity, by a person", declared=widget(**SPELLED), before=widgets,
         then=lambda s: s.set("/spec/amount", "1001m"),
         expect=drift(("/spec/amount", "changed"), manager=HAND), **SEEN),
)  # fmt: skip


def without_namespace(make: Maker) -> Maker:
    def bare(namespace: str, name: str) -> Object:
        obj = make(namespace, name)
        return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "namespace"}}

    return bare


def in_namespace(make: Maker, namespace: str) -> Maker:
    return lambda _, name: {**make("", name), "metadata": {**make("", name)["metadata"], "namespace": namespace}}


CLASS = cluster_wide("scheduling.k8s.io/v1", "PriorityClass", value=1)
NO_SPACE = without_namespace(config(a="1"))
SCOPES = (
    Case(id="39-namespace-left-out", title="a manifest without a namespace means the default one", declared=NO_SPACE,
         stored=in_namespace(config(a="1"), "default"), **NO_DRIFT),
    Case(id="39-namespace-left-out-and-changed", title="a person changes it there", declared=NO_SPACE,
         stored=in_namespace(config(a="1"), "default"), then=lambda s: s.set("/data/a", "2"),
         expect=drift(("/data/a", "changed"), manager=HAND), **SEEN),
    Case(id="39-namespace-too-many", title="a namespace in a manifest of a kind that has none",
         declared=in_namespace(CLASS, "anywhere"), stored=CLASS, argocd="no drift", flux="no drift"),
)  # fmt: skip

SECRET = of("v1", "Secret", data={"password": "YQ=="})
OTHER = of("v1", "Secret", data={"password": "Yg=="})
RANDOM = (
    Case(id="40-random-value", title="a template that makes another password each time it is rendered", declared=SECRET,
         stored=OTHER, expect=drift(("/data/password", "changed"), manager="deployer"), argocd="drift at each look",
         flux="no drift: the rendered release counts"),
    Case(id="40-random-value-ignored", title="the same with a rule for that field", declared=SECRET, stored=OTHER,
         ignore=("/data/password",), **NO_DRIFT),
    Case(id="40-as-released", title="what a release has rendered once is what is declared", declared=SECRET,
         deployed=Deployed.POST, **NO_DRIFT),
    Case(id="40-ignored-beside-drift", title="a rule for the random field, and a person adds another",
         declared=SECRET, stored=OTHER, ignore=("/data/password",), then=lambda s: s.set("/data/extra", "eA=="),
         expect=drift(("/data/extra", "added"), manager=HAND), **ADDED),
)  # fmt: skip

CASES = (*VERSIONS, *SAME_KIND, *UNKNOWN, *SCOPES, *RANDOM)
