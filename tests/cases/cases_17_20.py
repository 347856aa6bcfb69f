"""Cases 17-20: what mutating webhooks change, what a Service is given, and Secrets."""

from typing import Any

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Peers, Step, drift
from tests.cases.makers import POD, WEB, config, of, secret, service, workload
from tests.cases.scene import PERSON as HAND
from tests.cases.scene import Scene
from tests.webhooks import STAMP, Mode

SEEN: Peers = {"argocd": "drift", "flux": "drift"}
ADDED: Peers = {"argocd": "not seen", "flux": "drift by kubectl only"}


def webhook(mode: Mode, *resources: str) -> Step:
    """A mutating webhook that is there before the object is, until the case ends."""

    async def register(scene: Scene) -> None:
        hook = scene.webhooks.registered(scene.client, scene.namespace, mode, resources or ("deployments",))
        await scene.after.enter_async_context(hook)

    return register


SEVENTEEN: Peers = {"argocd": "no drift", "flux": "no drift"}
WITH_VOLUME = workload(pod={"volumes": [{"name": "tmp", "emptyDir": {}}]})
SIDE = {"name": "side", "image": "example.org/side:1"}
BARE = of("v1", "Pod", spec={"containers": [{"name": "x", "image": "example.org/x:1"}]})
CRON = of("batch/v1", "CronJob", spec={"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": {"spec": {
    "restartPolicy": "Never", "containers": [{"name": "x", "image": "example.org/x:1"}]}}}}})  # fmt: skip


async def running(scene: Scene) -> None:
    """Wait until the Pod runs on a node."""
    await scene.until("/status/phase", lambda phase: phase == "Running")


PROXY = POD + "/containers/1"
INJECTED = (
    *(Case(id=f"17-sidecar-injected-{how.name.lower()}",
           title=f"a webhook injects a sidecar and a volume, by {how.value}", declared=workload(),
           before=webhook(Mode.SIDECAR), deployed=how, **SEVENTEEN)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    *(Case(id=f"17-sidecar-injected-into-a-{name}", title=f"the same in a {name}", declared=make,
           before=webhook(Mode.SIDECAR, f"{name}s"), **SEVENTEEN)
      for name, make in (("statefulset", workload("StatefulSet")), ("daemonset", workload("DaemonSet")),
                         ("cronjob", CRON), ("pod", BARE))),
    *(Case(id=f"17-pod-admitted-{how.name.lower()}", declared=BARE, deployed=how, then=running,
           title=f"what admission, the scheduler and the kubelet write into a bare Pod, by {how.value}", **SEVENTEEN)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="17-image-of-a-pod-by-hand", title="a person changes a bare Pod's image", declared=BARE,
         then=lambda s: s.set("/spec/containers/0/image", "example.org/x:2"),
         expect=drift(("/spec/containers/0/image", "changed"), manager=HAND), **SEEN),
    Case(id="17-toleration-of-a-pod-by-hand", title="a person adds a toleration beside those of admission",
         declared=BARE, then=lambda s: s.set("/spec/tolerations/-", {"key": "gpu", "operator": "Exists"}),
         expect=drift(("/spec/tolerations", "added"), manager=HAND), fix="immutable", **ADDED),
    Case(id="17-volume-injected-beside-declared", title="the same beside a declared volume", declared=WITH_VOLUME,
         before=webhook(Mode.SIDECAR), **SEVENTEEN),
    Case(id="17-sidecar-injected-into-a-persons-write", declared=workload(),
         title="a webhook comes later, and injects into a person's write of an annotation: that alone is drift",
         then=lambda s: after_webhook(s, Mode.SIDECAR, lambda: s.set("/metadata/annotations", {"note": "x"})),
         expect=drift(("/metadata/annotations/note", "added"), manager=HAND), **ADDED),
    Case(id="17-sidecar-by-hand", title="a person adds a sidecar", declared=workload(),
         then=lambda s: s.set(POD + "/containers/-", SIDE), expect=drift((PROXY, "added"), manager=HAND), **ADDED),
    Case(id="17-sidecar-by-hand-beside-injected", title="a person adds one beside the injected",
         declared=workload(), before=webhook(Mode.SIDECAR), then=lambda s: s.set(POD + "/containers/-", SIDE),
         expect=drift((POD + "/containers/2", "added"), manager=HAND), **ADDED),
    Case(id="17-injected-image-by-hand", declared=workload(), before=webhook(Mode.SIDECAR),
         title="a person changes the injected sidecar: it is told whole, since without it the webhook injects its own",
         then=lambda s: s.set(PROXY + "/image", "example.org/x:9"), expect=drift((PROXY, "added"), manager=HAND),
         **ADDED),
)  # fmt: skip
IMAGES = (
    *(Case(id=f"17-image-rewritten-{how.name.lower()}", title=f"a webhook rewrites images to a mirror, by {how.value}",
           declared=workload(), before=webhook(Mode.IMAGES), deployed=how, argocd="no drift", flux="no drift",
           local=drift((WEB + "/image", "changed"), manager=who), because="only the server can ask its webhooks")
      for how, who in ((Deployed.APPLY, "deployer"), (Deployed.POST, "helm"))),
    Case(id="17-image-by-hand-beside-rewriting", title="a person's other image is rewritten as well, and is drift",
         declared=workload(), before=webhook(Mode.IMAGES), then=lambda s: s.set(WEB + "/image", "example.org/evil:1"),
         expect=drift((WEB + "/image", "changed"), manager=HAND), **SEEN),
)  # fmt: skip
STAMPS = (
    Case(id="17-webhook-skips-dry-run", title="a webhook that writes an annotation, but not in a dry-run",
         declared=config(a="1"), before=webhook(Mode.STAMP, "configmaps"), argocd="no drift",
         flux="false alarm in HelmReleases"),
    Case(id="17-webhook-skips-dry-run-post", title="the same, by a plain create", deployed=Deployed.POST,
         declared=config(a="1"), before=webhook(Mode.STAMP, "configmaps"), argocd="no drift",
         flux="false alarm in HelmReleases"),
    Case(id="17-annotation-by-hand", title="a person writes the same annotation",
         declared=config(a="1"), then=lambda s: s.merge({"metadata": {"annotations": {STAMP: "true"}}}),
         expect=drift(("/metadata/annotations/webhook.example.org~1validated", "added"), manager=HAND), **ADDED),
)  # fmt: skip


async def after_webhook(scene: Scene, mode: Mode, write: Any) -> None:
    """Register a webhook, then let somebody write."""
    await webhook(mode)(scene)
    await write()


EIGHTEEN: Peers = {"argocd": "no drift", "flux": "no drift"}
OUTSIDE = service(type="LoadBalancer", externalTrafficPolicy="Local")


def on_its_port(namespace: str, name: str) -> Object:
    """A Service on a node port of its own."""
    return service(type="NodePort", ports=[{"port": 80, "nodePort": port_of(name, 0)}])(namespace, name)


SERVICES = (
    *(Case(id=f"18-{name}-{how.name.lower()}", title=f"what {words} is given, by {how.value}", declared=make,
           deployed=how, **EIGHTEEN)
      for name, words, make in (
          ("cluster-address", "a Service", service()),
          ("node-port", "a NodePort Service", service(type="NodePort")),
          ("health-check-port", "a LoadBalancer Service", OUTSIDE),
          ("headless", "a headless Service", service(clusterIP="None")))
      for how in (Deployed.APPLY, Deployed.POST)),
    Case(id="18-address-assigned", title="MetalLB writes a Service's address", declared=OUTSIDE, **EIGHTEEN,
         then=lambda s: s.set("/spec/loadBalancerIP", "192.0.2.7", "metallb-controller")),
    Case(id="18-type-by-hand", title="a person opens a Service on every node", declared=service(),
         then=lambda s: s.set("/spec/type", "NodePort"), expect=drift(("/spec/type", "added"), manager=HAND), **ADDED),
    Case(id="18-declared-type-by-hand", title="the same where the type is declared", declared=service(type="ClusterIP"),
         then=lambda s: s.set("/spec/type", "NodePort"), expect=drift(("/spec/type", "changed"), manager=HAND), **SEEN),
    Case(id="18-node-port-by-hand", title="a person chooses another node port", declared=service(type="NodePort"),
         then=lambda s: choose_node_port(s, 1), expect=drift(("/spec/ports/0/nodePort", "added"), manager=HAND),
         **ADDED),
    Case(id="18-declared-node-port-by-hand", title="a person chooses another than the declared",
         declared=on_its_port,
         then=lambda s: choose_node_port(s, 2), expect=drift(("/spec/ports/0/nodePort", "changed"), manager=HAND),
         **SEEN),
    Case(id="18-target-port-by-hand", title="a person sends a port elsewhere", declared=service(),
         then=lambda s: s.set("/spec/ports/0/targetPort", 8443),
         expect=drift(("/spec/ports/0/targetPort", "added"), manager=HAND), **ADDED),
)  # fmt: skip


def port_of(name: str, share: int) -> int:
    """A node port out of one of four shares of the range's lower part, so that no two cases meet; the server chooses in
    the upper one.
    """
    return 30000 + share * 20 + int(name.rpartition("-")[2], 16) % 20


async def choose_node_port(scene: Scene, share: int) -> Object:
    """A port that nobody else has."""
    return await scene.set("/spec/ports/0/nodePort", port_of(scene.name, share))


NINETEEN: Peers = {"argocd": "no drift", "flux": "no drift"}
PLAIN = {"password": "ünïcode ✓", "empty": ""}
SECRETS = (
    *(Case(id=f"19-string-data-{how.name.lower()}", title=f"`stringData` is stored as `data`, by {how.value}",
           declared=secret(stringData=PLAIN), deployed=how, **NINETEEN)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="19-null-data", title="`data: {empty: null}`, created", declared=secret(data={"empty": None, "a": "MQ=="}),
         deployed=Deployed.POST, **NINETEEN),
    Case(id="19-null-data-applied", title="the same, applied", declared=secret(data={"empty": None, "a": "MQ=="}),
         **NINETEEN),
    Case(id="19-wrapped-base64", title="base64 with line breaks", declared=secret(data={"a": "MTIz\nNDU2\n"}),
         stored=secret(data={"a": "MTIzNDU2"}), argocd="no drift", flux="no drift"),
    Case(id="19-string-data-by-hand", title="a person changes one of the values",
         declared=secret(stringData=PLAIN), then=lambda s: s.set("/data/password", "eA=="),
         expect=drift(("/data/password", "changed"), manager=HAND), **SEEN),
    Case(id="19-string-data-by-hand-in-plain", title="a person does so in plain text",
         declared=secret(stringData=PLAIN), then=lambda s: s.merge({"stringData": {"password": "x"}}),
         expect=drift(("/data/password", "changed"), manager=HAND), **SEEN),
    Case(id="19-key-by-hand", title="a person adds a key", declared=secret(stringData=PLAIN),
         then=lambda s: s.merge({"stringData": {"more": "x"}}), expect=drift(("/data/more", "added"), manager=HAND),
         **ADDED),
)  # fmt: skip

BOTH = secret(data={"a": "MQ==", "b": "MQ=="}, stringData={"b": "2"})
TWENTY: Peers = {"argocd": "not documented", "flux": "no drift"}
BOTH_PLACES = (
    *(Case(id=f"20-key-in-both-{how.name.lower()}", title=f"one key in `data` and `stringData`, by {how.value}",
           declared=BOTH, deployed=how, **TWENTY) for how in (Deployed.APPLY, Deployed.POST)),
    Case(id="20-key-in-both-by-hand", title="a person writes the value that `data` says and `stringData` overrides",
         declared=BOTH, then=lambda s: s.set("/data/b", "MQ=="),
         expect=drift(("/data/b", "changed"), manager=HAND), argocd="not documented", flux="drift"),
    Case(id="20-string-data-key-removed", title="a person removes a key that `stringData` declares",
         declared=BOTH, then=lambda s: s.unset("/data/b"), expect=drift(("/data/b", "removed")),
         argocd="not documented", flux="drift"),
)  # fmt: skip

CASES = (*INJECTED, *IMAGES, *STAMPS, *SERVICES, *SECRETS, *BOTH_PLACES)
