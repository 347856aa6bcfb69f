"""Cases 12-16: autoscalers' metrics, and what controllers write into webhooks' configurations."""

import base64
from typing import Any

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Peers, Step, drift
from tests.cases.makers import autoscaler, cluster_wide, definition
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene

SEEN: Peers = {"argocd": "drift", "flux": "drift"}


def metric(name: str, percent: int) -> dict[str, Any]:
    """One metric of an autoscaler."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


TWELVE: Peers = {"argocd": "false alarm; advice: write memory first", "flux": "no drift"}
CPU, MEMORY = metric("cpu", 70), metric("memory", 80)
BOTH = autoscaler(metrics=[CPU, MEMORY])
METRICS = ("/spec/metrics", "changed")
AUTOSCALERS = (
    Case(id="12-metrics-applied", title="two metrics, applied", declared=BOTH, **TWELVE),
    Case(id="12-metrics-in-another-order", title="the same metrics, stored in another order", declared=BOTH,
         stored=autoscaler(metrics=[MEMORY, CPU]), **TWELVE),
    Case(id="12-metrics-reordered-by-a-write", title="a client writes them back in another order", declared=BOTH,
         then=lambda s: s.set("/spec/metrics", [MEMORY, CPU], "old-client"), **TWELVE),
    Case(id="12-metric-changed", title="a person changes a target",
         declared=BOTH, then=lambda s: s.set("/spec/metrics/0/resource/target/averageUtilization", 71),
         expect=drift(METRICS, manager=HAND), **SEEN),
    Case(id="12-metric-doubled", title="a person replaces one metric by the other: twice the same is not both",
         declared=BOTH, then=lambda s: s.set("/spec/metrics", [MEMORY, MEMORY]),
         expect=drift(METRICS, manager=HAND), **SEEN),
    Case(id="12-metric-added", title="a person adds a third", declared=BOTH,
         then=lambda s: s.set("/spec/metrics/-", {"type": "Pods", "pods": {
             "metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "1"}}}),
         expect=drift(METRICS, manager=HAND), **SEEN),
)  # fmt: skip

SERVICE = {"service": {"name": "x", "namespace": "default", "path": "/"}}
RULES = [
    {"apiGroups": ["none.example.org"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
]
HOOK = {"name": "none.example.org", "clientConfig": SERVICE, "rules": RULES, "sideEffects": "None",
        "admissionReviewVersions": ["v1"]}  # fmt: skip
KINDS = {"validating": "ValidatingWebhookConfiguration", "mutating": "MutatingWebhookConfiguration"}
BUNDLE = "/webhooks/0/clientConfig/caBundle"
EMPTY_BUNDLE = {"caBundle": base64.b64encode(b"\n").decode()}


def hook(kind: str = "validating", client: dict[str, Any] | None = None, **parts: Any) -> Any:
    """A webhook's configuration for a resource that does not exist."""
    one = {**HOOK, **parts, "clientConfig": {**SERVICE, **(client or {})}}
    return cluster_wide("admissionregistration.k8s.io/v1", KINDS[kind], webhooks=[one])


def bundle(pointer: str, manager: str) -> Step:
    """Somebody writes a certificate authority there."""

    async def inject(scene: Scene) -> Object:
        return await scene.set(pointer, base64.b64encode(scene.webhooks.ca).decode(), manager)

    return inject


def converted(namespace: str, name: str) -> Object:
    """A definition whose versions a webhook converts."""
    obj = definition(f"{name}.example.org", "Converted", {"note": {"type": "string"}})
    webhook = {"clientConfig": SERVICE, "conversionReviewVersions": ["v1"]}
    obj["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return obj


def api_service(namespace: str, name: str) -> Object:
    """An aggregated API whose service is not there."""
    spec = {"group": f"{name}.example.org", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
            "service": {"name": "x", "namespace": "default"}}  # fmt: skip
    metadata = {"name": f"v1.{name}.example.org"}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}


THIRTEEN: Peers = {"argocd": "drift unless ignored, by an example rule", "flux": "no drift where undeclared"}
INJECTOR = "cert-manager-cainjector"
OF_DEFINITIONS = "/spec/conversion/webhook/clientConfig/caBundle"
BUNDLES = (
    *(Case(id=f"13-bundle-of-a-{kind}-webhook", declared=hook(kind), then=bundle(BUNDLE, INJECTOR),
           title=f"cert-manager injects the CA into a {kind} webhook", **THIRTEEN) for kind in KINDS),
    *(Case(id=f"13-empty-bundle-of-a-{kind}-webhook", declared=hook(kind, EMPTY_BUNDLE),
           then=bundle(BUNDLE, INJECTOR), title=f"the same where an empty one is declared ({kind})",
           argocd="drift unless ignored", flux="drift: both write it in turn") for kind in KINDS),
    Case(id="13-bundle-by-an-unknown-controller", declared=hook("validating", EMPTY_BUNDLE),
         then=bundle(BUNDLE, "our-operator"), title="a controller that nobody knows does",
         argocd="drift unless ignored", flux="drift: both write it in turn"),
    Case(id="13-undeclared-bundle-by-an-unknown-controller", declared=hook(), then=bundle(BUNDLE, "our-operator"),
         title="the same where none is declared", **THIRTEEN),
    Case(id="13-bundle-of-a-definition", declared=converted, then=bundle(OF_DEFINITIONS, INJECTOR),
         title="the CA of a CRD's conversion webhook", **THIRTEEN),
    Case(id="13-bundle-of-an-api-service", declared=api_service, then=bundle("/spec/caBundle", INJECTOR),
         title="the CA of an aggregated API", **THIRTEEN),
    Case(id="13-bundle-by-hand", declared=hook("validating", EMPTY_BUNDLE), then=bundle(BUNDLE, HAND),
         title="a person puts a CA in the place of the declared one",
         expect=drift((BUNDLE, "changed"), manager=HAND), **SEEN),
    Case(id="13-undeclared-bundle-by-hand", declared=hook(), then=bundle(BUNDLE, HAND),
         title="a person puts one where none is declared", expect=drift((BUNDLE, "added"), manager=HAND),
         argocd="not seen", flux="drift by kubectl only"),
)  # fmt: skip

POLICY = ("/webhooks/0/failurePolicy", "changed")
FOURTEEN: Peers = {"argocd": "drift unless ignored", "flux": "drift unless ignored"}
POLICIES = (
    *(Case(id=f"14-failure-policy-of-a-{kind}-webhook", declared=hook(kind, failurePolicy="Ignore"),
           then=lambda s: s.set(POLICY[0], "Fail", "pilot-discovery"),
           title=f"Istio turns `failurePolicy: Ignore` to `Fail` once it is ready ({kind})", **FOURTEEN)
      for kind in KINDS),
    Case(id="14-failure-policy-by-an-unknown-controller", declared=hook(failurePolicy="Ignore"),
         then=lambda s: s.set(POLICY[0], "Fail", "our-operator"), title="a controller that nobody knows does",
         **FOURTEEN),
    Case(id="14-failure-policy-by-hand", declared=hook(failurePolicy="Fail"),
         then=lambda s: s.set(POLICY[0], "Ignore"), title="a person makes a webhook optional",
         expect=drift(POLICY, manager=HAND), **SEEN),
    Case(id="14-undeclared-failure-policy-by-hand", declared=hook(), then=lambda s: s.set(POLICY[0], "Ignore"),
         title="the same where it is not declared", expect=drift((POLICY[0], "added"), manager=HAND),
         argocd="not seen", flux="drift by kubectl only"),
)  # fmt: skip

MORE = [*RULES, {**RULES[0], "resources": ["others"]}]
EXPANDED = ("/webhooks/0/rules", "changed")
FIFTEEN: Peers = {"argocd": "drift unless ignored", "flux": "false alarm, in a loop"}
EXPANSIONS = (
    *(Case(id=f"15-rules-of-a-{kind}-webhook", declared=hook(kind), then=lambda s: s.set(EXPANDED[0], MORE, "webhook"),
           title=f"Knative's controller expands the rules ({kind})", **FIFTEEN) for kind in KINDS),
    Case(id="15-rules-by-a-known-controller", declared=hook(),
         then=lambda s: s.set(EXPANDED[0], MORE, "knative-webhook"), title="the same by a known name", **FIFTEEN),
    Case(id="15-rules-by-hand", declared=hook(), then=lambda s: s.set(EXPANDED[0], MORE),
         title="a person adds a rule", expect=drift(EXPANDED, manager=HAND), **SEEN),
    Case(id="15-rules-emptied-by-hand", declared=hook(), then=lambda s: s.set(EXPANDED[0], []),
         title="a person takes all rules away, which switches the webhook off",
         expect=drift((EXPANDED[0], "removed")), **SEEN),
)  # fmt: skip

SIXTEEN: Peers = {"argocd": "no drift", "flux": "no drift"}
DEFAULTS = (
    *(Case(id=f"16-defaults-of-a-{kind}-webhook-{how.name.lower()}", declared=hook(kind), deployed=how,
           title=f"`matchPolicy`, `timeoutSeconds`, `scope` and others of a {kind} webhook, by {how.value}", **SIXTEEN)
      for kind in KINDS for how in (Deployed.APPLY, Deployed.POST)),
    Case(id="16-scope-declared-as-its-default", title="`scope: '*'` and `timeoutSeconds: 10` declared",
         declared=hook(timeoutSeconds=10, rules=[{**RULES[0], "scope": "*"}]), **SIXTEEN),
    Case(id="16-timeout-by-hand", declared=hook(), then=lambda s: s.set("/webhooks/0/timeoutSeconds", 30),
         title="a person sets a time-out that nobody declared", argocd="not seen", flux="drift by kubectl only",
         expect=drift(("/webhooks/0/timeoutSeconds", "added"), manager=HAND)),
    Case(id="16-scope-by-hand", declared=hook(), then=lambda s: s.set("/webhooks/0/rules/0/scope", "Cluster"),
         title="a person narrows the scope of a declared rule", expect=drift(EXPANDED, manager=HAND), **SEEN),
)  # fmt: skip

CASES = (*AUTOSCALERS, *BUNDLES, *POLICIES, *EXPANSIONS, *DEFAULTS)
