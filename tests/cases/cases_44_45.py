"""Cases 44-45: what somebody added by hand, and what stands there only because somebody still holds it.

The whole table of additions, by every way of writing and deploying, is in `tests/integration/test_additions.py`.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from services.kube.api.errors import Conflict
from services.kube.objects import Object
from services.kube.pointer import parse_pointer, resolve, to_pointer
from tests.cases.added import ADDITIONS, DEPLOYMENT, POD, WEB, Addition
from tests.cases.case import Case, Deployed, Step, drift
from tests.cases.makers import config, widget, widgets, workload
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene
from tests.cases.words import ADDED, SEEN, UNSEEN, Words
from tests.cases.words import NO_DRIFT as NOT_THEIRS
from tests.cases.writes import Way, add

ATOMIC_MAP: Words = {"argocd": "drift with server-side diff only", "flux": "drift"}
ROBOT, CONTROLLER = "backup-robot", "kube-controller-manager"
MAPS = ("/spec/selector", POD + "/nodeSelector")


def written(addition: Addition, way: Way, manager: str = HAND) -> Step:
    """The addition, by one manager, into the object as it then is."""

    async def write(scene: Scene) -> None:
        while True:
            with suppress(Conflict):  # a controller wrote in between
                await add(scene.client, await scene.live(), addition.pointer, addition.value, way, manager)
                return

    return write


def told(addition: Addition, *, owned: bool = False) -> tuple[str, str]:
    """Where it is told, as (path, kind): what is appended stands after all that is declared."""
    if addition.whole:
        return addition.whole, "changed"
    path = parse_pointer(addition.pointer)
    items = resolve(addition.declared("namespace", "name"), path[:-1]) or []
    place = to_pointer((*path[:-1], len(items))) if path[-1] == "-" else addition.pointer
    return (addition.below if owned else "") or addition.top or place, "added"


def documented(addition: Addition) -> Words:
    if not addition.whole:
        return ADDED
    return ATOMIC_MAP if addition.whole in MAPS else SEEN


def named(addition: Addition) -> str:
    """Its name as a part of an id."""
    return addition.id.lower().replace("'s", "s").replace(" ", "-")


BY_HAND = tuple(
    Case(id=f"44-{named(one)}", title=f"a person adds: {one.id}", declared=one.declared,
         then=written(one, Way.JSON_PATCH), expect=drift(told(one), manager=HAND), fix=one.fix, **documented(one))
    for one in ADDITIONS
)  # fmt: skip
MIRRORED = (
    "environment variable", "container port", "sidecar", "init container", "volume", "argument", "node selector",
    "host's process ids", "toleration", "label", "annotation", "finalizer", "ConfigMap key", "Secret key",
    "Service port", "Service selector", "Ingress rule", "RBAC rule", "NetworkPolicy entry",
)  # fmt: skip
BY_CONTROLLERS = tuple(
    Case(id=f"44-{named(one)}-by-a-controller", title=f"a controller of Kubernetes adds: {one.id}",
         declared=one.declared, then=written(one, Way.JSON_PATCH, CONTROLLER), **NOT_THEIRS)
    for one in ADDITIONS if one.id in MIRRORED
)  # fmt: skip

VARIABLE, LIMIT, STRATEGY = (
    next(one for one in ADDITIONS if one.id == wanted)
    for wanted in ("environment variable", "resource limit", "update strategy")
)
IN_OTHER_WAYS = (
    *(Case(id=f"44-by-{way}-after-{how.name.lower().replace('_', '-')}",
           title=f"a variable, by {way}, in an object deployed by {how.value}", declared=VARIABLE.declared,
           deployed=how, then=written(VARIABLE, way),
           expect=drift((f"{WEB}/env/{0 if way is Way.STRATEGIC else 1}", "added"), manager=HAND), **ADDED)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY) for way in Way),
    *(Case(id=f"44-{named(one)}-beside-owned-defaults", declared=one.declared, deployed=Deployed.POST,
           title=f"{one.id}, where the deployer owns the defaults around it: only the person's part is told",
           then=written(one, Way.MERGE), expect=drift(told(one, owned=True), manager=HAND), **ADDED)
      for one in (LIMIT, STRATEGY)),
)  # fmt: skip


async def both(scene: Scene) -> None:
    """A person and a controller put something into the same map that nobody declares."""
    await scene.merge({"spec": {"template": {"metadata": {"annotations": {"theirs": "1"}}}}}, CONTROLLER)
    await scene.merge({"spec": {"template": {"metadata": {"annotations": {"mine": "1"}}}}})


async def two_tools(scene: Scene) -> None:
    """One tool adds a sidecar, another changes its image."""
    await scene.set(POD + "/containers/-", {"name": "side", "image": "example.org/s:1"}, "kubectl-patch")
    await scene.set(POD + "/containers/1/image", "example.org/s:2")


async def husk(scene: Scene) -> None:
    """A person creates the object, and a controller fills what was empty in it."""
    await scene.create(scene.obj, "kubectl-create")
    await scene.set(WEB + "/resources/limits", {"cpu": "1"}, CONTROLLER)


ANNOTATIONS = "/spec/template/metadata/annotations"
BY_WHOM = (
    Case(id="44-unknown-robot", title="a manager that nobody knows adds a variable", declared=DEPLOYMENT,
         then=written(VARIABLE, Way.PUT, ROBOT), expect=drift((WEB + "/env/1", "added"), manager=ROBOT), **UNSEEN),
    Case(id="44-trusted-robot", title="the same manager, trusted by the baseline", declared=DEPLOYMENT,
         then=written(VARIABLE, Way.PUT, ROBOT), trusted=(ROBOT,), **NOT_THEIRS),
    Case(id="44-trusted-by-glob", title="the same, trusted by a glob", declared=DEPLOYMENT,
         then=written(VARIABLE, Way.APPLY, ROBOT), trusted=("backup-*",), **NOT_THEIRS),
    Case(id="44-finalizer-of-an-unknown-controller", declared=config(a="1"),
         title="what is no person's tool may be a controller, which holds objects by finalizers",
         then=lambda s: s.merge({"metadata": {"finalizers": ["example.org/hold"]}}, "some-operator"), **NOT_THEIRS),
    Case(id="44-beside-a-controllers", title="a person and a controller add to the same undeclared map: hers alone",
         declared=DEPLOYMENT, then=both, expect=drift((ANNOTATIONS + "/mine", "added"), manager=HAND), **ADDED),
    Case(id="44-husk", title="a person owns only the empty map that a controller has filled since", declared=DEPLOYMENT,
         deployed=Deployed.NOTHING, then=husk, **NOT_THEIRS),
    Case(id="44-several-hands", title="two persons' tools add a sidecar and change it: one addition, by who came last",
         declared=DEPLOYMENT, then=two_tools, expect=drift((POD + "/containers/1", "added"), manager=HAND), **ADDED),
)  # fmt: skip

IGNORED = (
    Case(id="44-ignored", title="an addition that a rule covers", declared=DEPLOYMENT,
         then=written(VARIABLE, Way.PUT), ignore=(WEB + "/env",), **NOT_THEIRS),
    Case(id="44-partly-ignored", title="a map is added of which a rule covers one key: the other is told",
         declared=DEPLOYMENT, then=lambda s: s.set(ANNOTATIONS, {"theirs": "1", "mine": "1"}),
         ignore=(ANNOTATIONS + "/theirs",), expect=drift((ANNOTATIONS + "/mine", "added"), manager=HAND), **ADDED),
    Case(id="44-ignored-inside", title="a rule for images does not hide a container that was added",
         declared=DEPLOYMENT, then=lambda s: s.set(POD + "/containers/-", {"name": "side", "image": "example.org/s:1"}),
         ignore=(POD + "/containers/*/image",), expect=drift((POD + "/containers/1", "added"), manager=HAND), **ADDED),
)  # fmt: skip

SPEC: dict[str, Any] = {
    "entries": [{"name": "a"}], "tags": ["x"], "steps": ["one"], "free": {"a": "1"}, "template": {"kind": {"a": 1}},
    "amount": "1",
}  # fmt: skip
IN_CUSTOM: tuple[tuple[str, str, Any, tuple[str, str], Words], ...] = (
    ("map-list-item", "/spec/entries/-", {"name": "b"}, ("/spec/entries/1", "added"), ADDED),
    ("set-item", "/spec/tags/-", "y", ("/spec/tags/1", "added"), ADDED),
    ("list-item", "/spec/steps/-", "two", ("/spec/steps", "changed"), SEEN),
    ("free-key", "/spec/free/b", "2", ("/spec/free/b", "added"), ADDED),
    ("field", "/spec/note", "x", ("/spec/note", "added"), ADDED),
    ("default-changed", "/spec/entries/0/size", 5, ("/spec/entries/0/size", "added"), ADDED),
    ("unknown-key", "/spec/template/kind/b", 2, ("/spec/template/kind/b", "added"), ADDED),
    ("unknown-part", "/spec/template/more", {"x": [1]}, ("/spec/template/more", "added"), ADDED),
)
CUSTOM_WAYS = (Way.PUT, Way.JSON_PATCH, Way.MERGE, Way.APPLY)


def in_custom() -> Iterator[Case]:
    """Each by a person into an applied and a created resource, and by a trusted operator; the ways take turns."""
    for number, (name, pointer, value, place, words) in enumerate(IN_CUSTOM):
        ways = [CUSTOM_WAYS[(number + turn) % len(CUSTOM_WAYS)] for turn in range(3)]
        one = Addition(name, widget(**SPEC), pointer, value)
        for how, way in zip((Deployed.APPLY, Deployed.POST), ways, strict=False):
            yield Case(
                id=f"44-custom-{name}-after-{how.name.lower()}", declared=one.declared, before=widgets, deployed=how,
                title=f"a person adds to a custom resource: {name}, by {way}, after {how.value}",
                then=written(one, way), expect=drift(place, manager=HAND), **words,
            )  # fmt: skip
        yield Case(
            id=f"44-custom-{name}-by-its-operator", title=f"its trusted operator adds: {name}", declared=one.declared,
            before=widgets, then=written(one, ways[2], "widgetry"), trusted=("widget*",), **NOT_THEIRS,
        )  # fmt: skip


def held_by(manager: str) -> Step:
    """Somebody else applies the variable too; then the deployer drops it, and it stays."""

    async def hold(scene: Scene) -> None:
        container = {"name": "web", "env": [OLD]}
        identity = {name: scene.obj["metadata"][name] for name in ("name", "namespace")}
        part: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": identity,
                        "spec": {"template": {"spec": {"containers": [container]}}}}  # fmt: skip
        await scene.client.apply(part, manager)
        await scene.client.apply(scene.obj, "deployer")

    return hold


async def changed_before(scene: Scene) -> None:
    """A person gives it another value, which makes the value hers and not the item; then the deployer drops it."""
    await scene.set(WEB + "/env/1/value", "2")
    await scene.client.apply(scene.obj, "deployer")


async def corrected_before(scene: Scene) -> None:
    """Setpoint has once applied all of the manifest as it was; then the deployer drops the variable."""
    await scene.client.cluster.apply(WITH_OLD(scene.namespace, scene.name))
    await scene.client.apply(scene.obj, "deployer")


OLD = {"name": "OLD", "value": "1"}
MODE = {"name": "MODE", "value": "plain"}
NOW, WITH_OLD = workload(env=[MODE]), workload(env=[MODE, OLD])
LEFT = (WEB + "/env/1", "added")
LEFT_OVER = (
    Case(id="45-held-by-a-person", title="a variable that is declared no longer, held by a person's tool", declared=NOW,
         stored=WITH_OLD, then=held_by("kubectl"), expect=drift(LEFT, manager="kubectl"), **ADDED),
    Case(id="45-held-by-an-unknown-robot", title="the same, held by a manager that nobody knows", declared=NOW,
         stored=WITH_OLD, then=held_by(ROBOT), expect=drift(LEFT, manager=ROBOT), **UNSEEN),
    Case(id="45-held-by-a-controller", title="the same, held by a controller: it is the controller's now", declared=NOW,
         stored=WITH_OLD, then=held_by(CONTROLLER), **NOT_THEIRS),
    Case(id="45-changed-by-a-person", title="the same, after a person has changed its value: it goes with the item",
         declared=NOW, stored=WITH_OLD, then=changed_before, **NOT_THEIRS),
    Case(id="45-held-by-setpoint", title="the same, held by an earlier correction of Setpoint's own", declared=NOW,
         stored=WITH_OLD, then=corrected_before, expect=drift(LEFT, manager="setpoint"), argocd="not seen",
         flux="not seen"),
    Case(id="45-not-deployed-yet", title="declared no longer, and still held by who applies it", declared=NOW,
         stored=WITH_OLD, expect=drift(LEFT, manager="deployer"), argocd="drift", flux="drift"),
    Case(id="45-dropped", title="dropped by who applies it, and held by nobody else", declared=NOW, stored=WITH_OLD,
         then=lambda s: s.client.apply(s.obj, "deployer"), **NOT_THEIRS),
    Case(id="45-deployers-own-label", title="a label that the deployer put on what it applies", declared=config(a="1"),
         stored=lambda namespace, name: {**config(a="1")(namespace, name), "metadata": {
             "name": name, "namespace": namespace, "labels": {"deployed-by": "deployer"}}}, **NOT_THEIRS),
)  # fmt: skip

CASES = (*BY_HAND, *BY_CONTROLLERS, *IN_OTHER_WAYS, *BY_WHOM, *IGNORED, *in_custom(), *LEFT_OVER)
