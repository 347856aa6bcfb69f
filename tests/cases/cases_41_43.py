"""Cases 41-43: the server refuses the manifest, what it would make of the live object, or a dry-run as such."""

from services.kube.objects import Object
from tests.cases.case import NO_DRIFT, Case, Deployed, Peers, Step, drift, unjudged
from tests.cases.cases_17_20 import webhook
from tests.cases.makers import WEB, of, service, widget, widgets, workload
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene
from tests.webhooks import Mode

SEEN: Peers = {"argocd": "drift", "flux": "drift"}
FORTY_ONE: Peers = {"argocd": "false alarm for good", "flux": "no verdict: the apply is refused"}
MISSPELT = workload(imagePullpolicy="Always")
KNOWN = workload()
UNKNOWN = WEB + "/imagePullpolicy"
FIELDS = (
    Case(id="41-misspelt-field", title="a misspelt field in the manifest, which the server drops", declared=MISSPELT,
         deployed=Deployed.CLIENT_APPLY, expect=unjudged("unknown-field", (UNKNOWN, "removed")), **FORTY_ONE),
    Case(id="41-misspelt-field-applied", title="the same where the object was applied without it", declared=MISSPELT,
         stored=KNOWN, expect=unjudged("unknown-field", (UNKNOWN, "removed")), **FORTY_ONE),
    Case(id="41-unknown-field-of-a-custom-resource", title="a field that a custom kind's schema does not have",
         declared=widget(note="x", colour="red"), stored=widget(note="x"), before=widgets,
         expect=unjudged("unknown-field", ("/spec/colour", "removed")), **FORTY_ONE),
    Case(id="41-unknown-top-field", title="a field beside `spec` that the kind does not have", deployed=Deployed.POST,
         declared=of("v1", "ConfigMap", data={"a": "1"}, dta={"b": "2"}),
         expect=unjudged("unknown-field", ("/dta", "removed")), **FORTY_ONE),
    Case(id="41-unknown-field-kept", title="an unknown field where the schema keeps them",
         declared=widget(template={"colour": "red"}), before=widgets, argocd="no drift", flux="no drift"),
    Case(id="41-misspelt-field-and-drift", title="a person changes the image beside it: drift, by the local engine",
         declared=MISSPELT, stored=KNOWN, then=lambda s: s.set(WEB + "/image", "example.org/web:2"),
         expect=drift((WEB + "/image", "changed"), manager=HAND, reason="unknown-field"),
         fix="unknown-field", argocd="drift", flux="no verdict: the apply is refused"),
)  # fmt: skip

LIMITED = workload(resources={"limits": {"memory": "200Mi"}})
LIMIT, REQUESTS = WEB + "/resources/limits/memory", WEB + "/resources/requests"


def raised(obj: Object) -> None:
    """A person gives the container more memory: limit and request, in place."""
    resources = obj["spec"]["template"]["spec"]["containers"][0]["resources"]
    resources["limits"]["memory"] = "1Gi"
    resources["requests"] = {"memory": "500Mi"}


def recreated(obj: Object) -> None:
    """A person switches the strategy, in place."""
    obj["spec"]["strategy"] = {"type": "Recreate"}


FORTY_TWO: Peers = {"argocd": "drift", "flux": "no verdict: the dry-run is refused"}
ROLLING = workload(spec={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}})
REFUSED = (
    Case(id="42-request-above-the-limit", declared=LIMITED, then=lambda s: s.edit(raised),
         title="a person raises limit and request; the declared limit would be below the request",
         expect=drift((LIMIT, "changed"), (REQUESTS, "added"), manager=HAND, reason="invalid"), **FORTY_TWO),
    Case(id="42-request-within-the-limit", title="a person adds a request below the declared limit", declared=LIMITED,
         then=lambda s: s.set(REQUESTS, {"memory": "100Mi"}), expect=drift((REQUESTS, "added"), manager=HAND),
         argocd="not seen", flux="drift by kubectl only"),
    Case(id="42-strategy-switched", title="a person switches to `Recreate`, which takes no rolling update",
         declared=workload(spec={"strategy": {"type": "RollingUpdate"}}), then=lambda s: s.edit(recreated),
         expect=drift(("/spec/strategy/type", "changed"), manager=HAND), argocd="drift", flux="drift"),
    Case(id="42-rolling-update-removed", declared=ROLLING, then=lambda s: s.edit(recreated),
         title="the same where the rolling update is declared",
         expect=drift(("/spec/strategy/type", "changed"), ("/spec/strategy/rollingUpdate", "removed"), manager=HAND),
         argocd="drift", flux="drift"),
    Case(id="42-port-name-taken", title="a person renumbers a Service's port, which keeps its name",
         declared=service(ports=[{"name": "web", "port": 80}]), then=lambda s: s.set("/spec/ports/0/port", 81),
         expect=drift(("/spec/ports/0", "removed"), ("/spec/ports/0", "added"), manager=HAND, reason="invalid"),
         argocd="drift", flux="no verdict: the dry-run is refused"),
)  # fmt: skip


def watched_after(write: Step, mode: Mode) -> Step:
    """Somebody writes, and only then a webhook comes."""

    async def both(scene: Scene) -> None:
        await write(scene)
        await webhook(mode)(scene)

    return both


async def image(scene: Scene) -> None:
    """A person's write of another image."""
    await scene.set(WEB + "/image", "example.org/web:2")


async def variable(scene: Scene) -> None:
    """A person's first environment variable."""
    await scene.set(WEB + "/env", [{"name": "A"}])


FORTY_THREE: Peers = {"argocd": "no verdict: ComparisonError of the whole application",
               "flux": "no verdict: the whole Kustomization fails"}  # fmt: skip
NO_DRY_RUN = (
    *(Case(id=f"43-{mode.value}", title=f"a person changes the image, and {words}", declared=KNOWN,
           then=watched_after(image, mode),
           expect=drift((WEB + "/image", "changed"), manager=HAND, reason="dry-run-refused"),
           fix="webhook-refused" if mode is Mode.DENY else "corrected", **FORTY_THREE)
      for mode, words in ((Mode.NO_DRY_RUN, "a webhook refuses dry-runs"),
                          (Mode.BROKEN_DRY_RUN, "a webhook breaks in dry-runs"),
                          (Mode.DENY, "a webhook refuses every write"))),
    Case(id="43-no-dry-run-of-an-addition", title="a person adds a variable, and a webhook refuses dry-runs",
         declared=KNOWN, argocd="not seen", flux="no verdict: the whole Kustomization fails",
         then=watched_after(variable, Mode.NO_DRY_RUN),
         expect=drift((WEB + "/env", "added"), manager=HAND, reason="dry-run-refused")),
    *(Case(id=f"43-nothing-asked-{how.name.lower()}", declared=KNOWN,
           title=f"nobody changed anything, by {how.value}: nothing is asked",
           deployed=how, expect=NO_DRIFT, then=webhook(Mode.NO_DRY_RUN),
           argocd="no verdict: ComparisonError of the whole application",
           flux="no verdict: the whole Kustomization fails") for how in (Deployed.APPLY, Deployed.CLIENT_APPLY)),
    Case(id="43-defaults-of-a-created-object", title="the same where the creator, helm, owns the defaults",
         declared=KNOWN, deployed=Deployed.POST, then=webhook(Mode.NO_DRY_RUN),
         argocd="no verdict: ComparisonError of the whole application",
         flux="no verdict: the whole Kustomization fails"),
    Case(id="43-no-right-to-dry-run", title="the token may only read: the local engine judges", declared=KNOWN,
         reader=True, then=image, expect=drift((WEB + "/image", "changed"), manager=HAND, reason="forbidden"),
         argocd="no verdict: it needs the right to patch", flux="no verdict: it needs the right to patch"),
)  # fmt: skip

CASES = (*FIELDS, *REFUSED, *NO_DRY_RUN)
