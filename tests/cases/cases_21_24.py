"""Cases 21-24: lists whose items have keys, twice the same key, and numbers in two spellings."""

from typing import Any

from services.kube.objects import Object
from tests.cases.case import Case, Deployed, Peers, drift
from tests.cases.makers import POD, WEB, cluster_wide, of, service, widget, widgets, workload
from tests.cases.scene import PERSON as HAND

SEEN: Peers = {"argocd": "drift", "flux": "drift"}
NONE: Peers = {"argocd": "no drift", "flux": "no drift"}
ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]
VOLUMES = [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "b"}}]
SIDES = [{"name": name, "image": f"example.org/{name}:1"} for name in ("web", "side", "third")]
MOUNTS = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]


def ordered(step: int) -> Any:
    """A Deployment with several lists that are maps by key, `step` -1 for the other way round."""
    first = {**SIDES[0], "env": ENV[::step], "volumeMounts": MOUNTS[::step]}
    containers = [first, *SIDES[1:]][::step]
    return of("apps/v1", "Deployment", spec={
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
                     "spec": {"containers": containers, "volumes": VOLUMES[::step]}},
    })  # fmt: skip


def reversed_parts(obj: Object) -> None:
    """The object with its keyed lists the other way round, in place."""
    pod = obj["spec"]["template"]["spec"]
    for items in (pod["containers"][0]["env"], pod["containers"], pod["volumes"]):
        items.reverse()


ENTRIES = [{"name": "a"}, {"name": "b", "size": 2}]
PORTS = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
ORDER = (
    Case(id="21-stored-in-another-order", title="containers, variables, volumes and mounts in another order",
         declared=ordered(1), stored=ordered(-1), **NONE),
    Case(id="21-created-in-another-order", title="the same, by a plain create", declared=ordered(1),
         stored=ordered(-1), deployed=Deployed.POST, **NONE),
    Case(id="21-reordered-by-hand", title="a person writes them back the other way round", declared=ordered(1),
         then=lambda s: s.edit(reversed_parts), **NONE),
    Case(id="21-entries-of-a-custom-resource", title="a list that is a map in its schema, and a set, in another order",
         declared=widget(entries=ENTRIES, tags=["x", "y"]), stored=widget(entries=ENTRIES[::-1], tags=["y", "x"]),
         before=widgets, argocd="false alarm", flux="false alarm"),
    Case(id="21-ports-of-a-service", title="a Service's ports in another order", declared=service(ports=PORTS),
         stored=service(ports=PORTS[::-1]), **NONE),
    Case(id="21-arguments-by-hand", title="a person swaps arguments, a list without keys",
         declared=workload(args=["a", "b"]), then=lambda s: s.set(WEB + "/args", ["b", "a"]),
         expect=drift((WEB + "/args", "changed"), manager=HAND), **SEEN),
    Case(id="21-init-containers-by-hand", title="a person reverses the order of init containers, which is theirs",
         declared=workload(pod={"initContainers": SIDES[1:]}), argocd="drift", flux="drift",
         then=lambda s: s.edit(lambda obj: obj["spec"]["template"]["spec"]["initContainers"].reverse()),
         expect=drift((POD + "/initContainers", "changed"))),
    Case(id="21-init-containers-without-one-by-hand", title="a person removes the first of them: no other order",
         declared=workload(pod={"initContainers": SIDES[1:]}), argocd="drift", flux="drift",
         then=lambda s: s.unset(POD + "/initContainers/0"),
         expect=drift((POD + "/initContainers/0", "removed"))),
    Case(id="21-item-by-hand-in-another-order", title="a person changes one variable of a reordered list",
         declared=workload(env=ENV), stored=workload(env=ENV[::-1]), then=lambda s: s.set(WEB + "/env/0/value", "x"),
         expect=drift((WEB + "/env/0/value", "changed"), manager=HAND), **SEEN),
    Case(id="21-item-removed-by-hand", title="a person removes one variable", declared=workload(env=ENV),
         then=lambda s: s.unset(WEB + "/env/1"), expect=drift((WEB + "/env/1", "removed")), **SEEN),
    Case(id="21-step-of-a-custom-resource-by-hand", title="a person swaps items of a custom resource's plain list",
         declared=widget(steps=["a", "b"]), before=widgets, then=lambda s: s.set("/spec/steps", ["b", "a"]),
         expect=drift(("/spec/steps", "changed"), manager=HAND), **SEEN),
)  # fmt: skip

TWICE = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
TWENTY_TWO: Peers = {"argocd": "false alarm", "flux": "no verdict: the apply is refused"}
DUPLICATES = (
    *(Case(id=f"22-variable-twice-{how.name.lower()}", title=f"one variable twice in the manifest, by {how.value}",
           declared=workload(env=TWICE), deployed=how, **TWENTY_TWO)
      for how in (Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="22-port-twice", title="one container port twice in the manifest",
         declared=workload(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}]),
         deployed=Deployed.POST, **TWENTY_TWO),
    Case(id="22-variable-twice-changed-by-hand", title="a person changes the second of the two", deployed=Deployed.POST,
         declared=workload(env=TWICE), then=lambda s: s.edit(
             lambda obj: obj["spec"]["template"]["spec"]["containers"][0]["env"][1].__setitem__("value", "9")),
         expect=drift((WEB + "/env/1/value", "changed"), manager=HAND, reason="invalid"), fix="immutable",
         argocd="drift", flux="no verdict: the apply is refused"),
    Case(id="22-second-by-hand", title="a person adds a declared variable a second time, which overrides the first",
         declared=workload(env=TWICE[:1]), then=lambda s: s.edit(
             lambda obj: obj["spec"]["template"]["spec"]["containers"][0]["env"].append(TWICE[1])),
         expect=drift((WEB + "/env/1", "added"), manager=HAND), argocd="false alarm or drift", flux="drift"),
)  # fmt: skip

DNS = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
CONTAINER_DNS = [{"containerPort": 53, "name": one["name"], "protocol": one["protocol"]} for one in DNS]
TWENTY_THREE: Peers = {"argocd": "false alarm", "flux": "no drift"}
PROTOCOLS = (
    *(Case(id=f"23-tcp-and-udp-of-a-service-{how.name.lower()}", title=f"port 53 in TCP and UDP, by {how.value}",
           declared=service(ports=DNS), deployed=how, **TWENTY_THREE)
      for how in (Deployed.APPLY, Deployed.POST, Deployed.CLIENT_APPLY)),
    Case(id="23-tcp-and-udp-of-a-container", title="the same in a container, in another order",
         declared=workload(ports=CONTAINER_DNS), stored=workload(ports=CONTAINER_DNS[::-1]), **TWENTY_THREE),
    Case(id="23-one-of-two-removed-by-hand", title="a person removes the TCP one", declared=service(ports=DNS),
         then=lambda s: s.unset("/spec/ports/1"), expect=drift(("/spec/ports/1", "removed")), **SEEN),
    Case(id="23-one-of-two-changed-by-hand", title="a person sends the TCP one elsewhere", declared=service(
             ports=[{**one, "targetPort": 5353} for one in DNS]),
         then=lambda s: s.set("/spec/ports/1/targetPort", 5454),
         expect=drift(("/spec/ports/1/targetPort", "changed"), manager=HAND), **SEEN),
    Case(id="23-second-protocol-by-hand", title="a person opens the declared port in UDP as well",
         declared=service(ports=[DNS[1]]), then=lambda s: s.set("/spec/ports/-", DNS[0]),
         expect=drift(("/spec/ports/1", "added"), manager=HAND), argocd="not seen", flux="drift by kubectl only"),
)  # fmt: skip

PRIORITY = "scheduling.k8s.io/v1"
NUMBERS = (
    Case(id="24-int-or-string-of-a-custom-resource", title="`\"80\"` declared, 80 stored", declared=widget(port="80"),
         stored=widget(port=80), before=widgets, argocd="false alarm", flux="false alarm"),
    Case(id="24-int-or-string-the-other-way", title="80 declared, `\"80\"` written by a controller", before=widgets,
         declared=widget(port=80), then=lambda s: s.set("/spec/port", "80", "manager"), argocd="false alarm",
         flux="false alarm"),
    Case(id="24-whole-float-of-a-custom-resource", title="`1.0` declared, `1` stored", declared=widget(ratio=1.0),
         stored=widget(ratio=1), before=widgets, argocd="false alarm", flux="no drift"),
    Case(id="24-whole-float-of-a-deployment", title="`replicas: 3.0`", declared=workload(spec={"replicas": 3.0}),
         stored=workload(spec={"replicas": 3}), argocd="no drift", flux="no drift"),
    Case(id="24-large-number", title="a number beyond 2^53 keeps every digit", declared=widget(size=9007199254740993),
         before=widgets, **NONE),
    Case(id="24-percentage", title="`maxSurge: 25%` and `maxUnavailable: 1`", declared=workload(
             spec={"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}}),
         **NONE),
    Case(id="24-negative-number", title="a negative number", argocd="no drift", flux="no drift",
         declared=cluster_wide(PRIORITY, "PriorityClass", value=-10, globalDefault=False)),
    Case(id="24-named-port-by-hand", title="a person names a port instead of its number",
         declared=service(ports=[{"port": 80, "targetPort": 8080}]),
         then=lambda s: s.set("/spec/ports/0/targetPort", "http"),
         expect=drift(("/spec/ports/0/targetPort", "changed"), manager=HAND), **SEEN),
    Case(id="24-large-number-by-hand", title="a person changes only the last digit of a large number",
         declared=widget(size=9007199254740993), before=widgets, then=lambda s: s.set("/spec/size", 9007199254740992),
         expect=drift(("/spec/size", "changed"), manager=HAND), **SEEN),
    Case(id="24-number-by-hand", title="a person writes 81 for 80", declared=widget(port=80), before=widgets,
         then=lambda s: s.set("/spec/port", "81"), expect=drift(("/spec/port", "changed"), manager=HAND), **SEEN),
)  # fmt: skip

CASES = (*ORDER, *DUPLICATES, *PROTOCOLS, *NUMBERS)
