"""Cases 46-50: what has gone wrong elsewhere. The rest is in `tests/integration/test_hazards.py`."""

from typing import Any

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, drift, unjudged
from tests.cases.makers import config, of, widget, widgets
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene

SECRET = of("v1", "Secret", data={"password": "aHVudGVyMg=="})
FULL: dict[str, Any] = {"entries": [{"name": "a"}], "free": {"a": "1"}, "template": {"a": {"b": 1}}}
HELD = of("v1", "ConfigMap", data={"a": "1"}, metadata={"finalizers": ["example.org/keep"]})


async def everything(scene: Scene) -> None:
    """A person changes, adds and removes at once."""
    await scene.merge(
        {"spec": {"entries": [{"name": "b"}], "free": {"a": None, "b": "2"}, "template": {"a": {"c": 1}}}}
    )


async def ending(scene: Scene) -> None:
    """Somebody deletes it, and a finalizer holds it."""
    await scene.client.delete(scene.obj)
    scene.after.push_async_callback(scene.client.patch, scene.obj, {"metadata": {"finalizers": None}})


async def namespace_ends(scene: Scene) -> None:
    """The object's namespace is being deleted, held by something else in it; the object itself is gone."""
    other: Object = HELD(scene.namespace, f"{scene.name}-held")
    await scene.create(other)
    scene.after.push_async_callback(scene.client.patch, other, {"metadata": {"finalizers": None}})
    await scene.client.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scene.namespace}})


CASES = (
    Case(id="46-secret-changed", title="a person changes a Secret: its values are told masked, and put back unmasked",
         declared=SECRET, then=lambda s: s.set("/data/password", "bGV0bWVpbg=="),
         expect=drift(("/data/password", "changed"), manager=HAND), argocd="drift",
         flux="drift; a helm-controller once wrote the mask"),
    Case(id="47-metadata-of-others", title="a person labels an object that controllers have annotated",
         declared=config(a="1"), then=lambda s: labelled_beside_others(s),
         expect=drift(("/metadata/labels/by", "added"), manager=HAND), argocd="not seen",
         flux="drift by kubectl only; a JSON patch once replaced all metadata"),
    Case(id="48-custom-resource", title="a person changes, adds and removes in a custom resource", before=widgets,
         declared=widget(**FULL), then=everything,
         expect=drift(("/spec/entries/0", "added"), ("/spec/entries/0", "removed"), ("/spec/free/a", "removed"),
                      ("/spec/free/b", "added"), ("/spec/template/a/c", "added"), manager=HAND),
         argocd="drift", flux="an endless loop once"),
    Case(id="49-terminating", title="the object is being deleted", declared=HELD, then=ending,
         expect=unjudged("terminating"), argocd="drift, endless retries", flux="drift"),
    Case(id="49-namespace-terminating", title="it is gone, and its namespace is being deleted", declared=config(a="1"),
         deployed=Deployed.NOTHING, then=namespace_ends, expect=unjudged("terminating"),
         argocd="drift, endless retries", flux="the apply fails"),
    Case(id="50-claimed-twice", title="two baselines declare it", declared=config(a="1"), rivals=("payments",),
         then=lambda s: s.set("/data/a", "2"), expect=unjudged("claimed-twice"), argocd="a warning",
         flux="the two take turns"),
)  # fmt: skip


async def labelled_beside_others(scene: Scene) -> None:
    others = {"annotations": {"theirs": "1"}, "labels": {"theirs": "1"}, "finalizers": ["example.org/keep"]}
    await scene.merge({"metadata": others}, "kube-controller-manager")
    scene.after.push_async_callback(scene.client.patch, scene.obj, {"metadata": {"finalizers": None}})
    await scene.merge({"metadata": {"labels": {"by": "hand"}}})
