"""The demo's scenes: what another client does to the example platform, and what must be seen of it.

Each scene is data and one `act`. It has a target of its own, so that scenes can run at the same time. The objects are
those of `deploy/examples`; a test holds the two against each other.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from schemas.events import Outcome, Reason, Verdict
from services.local.stage import ABSENT, JSON_PATCH, MERGE, STRATEGIC, Thing


class Hand(Protocol):
    """What an act may do to its scene's target; `services/local/director.py` has the real one."""

    async def kubectl(self, *arguments: str) -> None:
        """Run the real kubectl."""

    async def patch(self, body: Any, *, manager: str, subresource: str = "", form: str = MERGE) -> None:
        """Write the target as field manager `manager`."""

    async def pause(self, reason: str) -> None:
        """Pause everything that Setpoint would do to the target."""

    async def resume(self) -> None:
        """Lift the pause again."""

    async def decided(self, reason: Reason, within: float = 30.0) -> bool:
        """Wait for a decision with this reason on the target; False when none came."""

    async def put_right(self, within: float = 30.0) -> bool:
        """Wait until the newest write is corrected; False when it was left, or when a decision gave the target up."""

    async def look_on(self, seconds: float) -> None:
        """Do nothing for a while, so that what must not happen has its chance to."""


@dataclass(frozen=True)
class Said:
    """A decision that must be seen."""

    verdict: Verdict
    reason: Reason


@dataclass(frozen=True)
class Expected:
    """What must be seen. `decisions` in this order, others may stand between them; `key` is the one that matters most.

    `ends` says what the field holds at the end: what is declared, or what the other client made of it.
    `manager` None means: nothing in the object proves who it was (a removal leaves no trace).
    """

    state: Literal["changed", "missing"] | None = "changed"
    path: str = ""
    kind: Literal["changed", "removed", "added"] | None = "changed"
    manager: str | None = None
    decisions: tuple[Said, ...] = (Said(Verdict.ACT, Reason.POLICY),)
    key: int = 0
    outcome: Outcome | None = Outcome.SUCCEEDED
    ends: Literal["declared", "other"] = "declared"

    @property
    def drift(self) -> bool:
        """False when the change must not count as drift at all."""
        return self.state is not None


@dataclass(frozen=True)
class Scene:
    """One scene. `field` is a JSON pointer, "" for the object itself; `declared` is what it holds when all is well.

    `within` bounds the wait for what is expected, `hold` is how long it must then stay so, both in seconds. `slow`
    marks what takes seconds by its nature and may play beside others.
    """

    name: str
    story: str
    thing: Thing
    field: str
    declared: Any
    act: Callable[[Hand], Awaitable[None]]
    expected: Expected
    meaning: str
    within: float = 45.0
    hold: float = 0.0
    slow: bool = False


NO_TRACE = None
LEFT = 1.0  # seconds for which something must be left as it is to count as left
FIGHT_ROUNDS = 12


def deployment(namespace: str, name: str) -> Thing:
    """A Deployment."""
    return Thing("apps", "v1", "Deployment", "deployments", namespace, name)


def service(namespace: str, name: str) -> Thing:
    """A Service."""
    return Thing("", "v1", "Service", "services", namespace, name)


def config_map(namespace: str, name: str) -> Thing:
    """A ConfigMap."""
    return Thing("", "v1", "ConfigMap", "configmaps", namespace, name)


def in_container(name: str, **fields: Any) -> dict[str, Any]:
    """A strategic merge patch of one container of a workload."""
    return {"spec": {"template": {"spec": {"containers": [{"name": name, **fields}]}}}}


async def scale_by_hand(hand: Hand) -> None:
    await hand.kubectl("scale", "deployment/payments-api", "--namespace=payments", "--replicas=1")


async def set_image(hand: Hand) -> None:
    image = "ledger=registry.example.com/payments/ledger:1.9.0-rc1"
    await hand.kubectl("set", "image", "deployment/ledger", "--namespace=payments", image)


async def add_variable(hand: Hand) -> None:
    at = "/spec/template/spec/containers/0/env/-"  # a strategic merge would put it first
    body = [{"op": "add", "path": at, "value": {"name": "DEBUG_BODIES", "value": "true"}}]
    await hand.patch(body, manager="debug-bot", form=JSON_PATCH)


async def edit_config(hand: Hand) -> None:
    body = '{"data":{"max-amount":"50000"}}'
    await hand.kubectl("patch", "configmap/fraud-rules", "--namespace=payments", "--type=merge", f"--patch={body}")


async def remove_label(hand: Hand) -> None:
    await hand.kubectl("label", "service/card-gateway", "--namespace=payments", "team-")


async def delete_service(hand: Hand) -> None:
    await hand.kubectl("delete", "service/ledger", "--namespace=payments")


async def autoscale(hand: Hand) -> None:
    await hand.patch({"spec": {"replicas": 4}}, manager="kube-controller-manager", subresource="scale")


async def touch_legacy(hand: Hand) -> None:
    body = in_container("reports", image="registry.example.com/legacy/reports:2012.0")
    await hand.patch(body, manager="vendor-script", form=STRATEGIC)


async def change_while_paused(hand: Hand) -> None:
    await hand.pause("a load test needs short-lived carts")
    body = in_container("cart", env=[{"name": "TTL", "value": "1m"}])
    await hand.patch(body, manager="load-test", form=STRATEGIC)
    await hand.decided(Reason.PAUSED)
    await hand.look_on(LEFT)
    await hand.resume()


async def fight(hand: Hand) -> None:
    for round in range(FIGHT_ROUNDS):
        await hand.patch({"data": {"max-carts": str(200_000 + round)}}, manager="cart-tuner")
        if not await hand.put_right():
            return


async def drop_node_selector(hand: Hand) -> None:
    await hand.patch({"spec": {"template": {"spec": {"nodeSelector": None}}}}, manager="oncall-hotfix")


SCENES: tuple[Scene, ...] = (
    Scene(
        name="replicas scaled",
        story="kubectl scale deployment/payments-api --replicas=1",
        thing=deployment("payments", "payments-api"),
        field="/spec/replicas",
        declared=3,
        act=scale_by_hand,
        expected=Expected(path="/spec/replicas", manager="kubectl"),
        meaning="scaled back to what is declared",
    ),
    Scene(
        name="image changed",
        story="kubectl set image deployment/ledger ledger=…/ledger:1.9.0-rc1",
        thing=deployment("payments", "ledger"),
        field="/spec/template/spec/containers/0/image",
        declared="registry.example.com/payments/ledger:1.8.0",
        act=set_image,
        expected=Expected(path="/spec/template/spec/containers/0/image", manager="kubectl-set"),
        meaning="the declared image is rolled out again",
    ),
    Scene(
        name="environment variable added",
        story="debug-bot adds DEBUG_BODIES=true to a container; the baseline never named that field",
        thing=deployment("payments", "card-gateway"),
        field="/spec/template/spec/containers/0/env/1",
        declared=ABSENT,
        act=add_variable,
        expected=Expected(path="/spec/template/spec/containers/0/env/1", kind="added", manager="debug-bot"),
        meaning="what a stranger added is seen and taken away",
    ),
    Scene(
        name="ConfigMap key edited",
        story="kubectl patch configmap/fraud-rules: max-amount 5000 → 50000",
        thing=config_map("payments", "fraud-rules"),
        field="/data/max-amount",
        declared="5000",
        act=edit_config,
        expected=Expected(path="/data/max-amount", manager="kubectl-patch"),
        meaning="the key holds its declared value again",
    ),
    Scene(
        name="label removed",
        story="kubectl label service/card-gateway team-",
        thing=service("payments", "card-gateway"),
        field="/metadata/labels/team",
        declared="payments",
        act=remove_label,
        expected=Expected(path="/metadata/labels/team", kind="removed", manager=NO_TRACE),
        meaning="the label is back; a removal leaves no trace of who did it",
    ),
    Scene(
        name="Service deleted",
        story="kubectl delete service/ledger",
        thing=service("payments", "ledger"),
        field="",
        declared="present",
        act=delete_service,
        expected=Expected(state="missing", kind=None, manager=NO_TRACE),
        meaning="the Service exists again",
    ),
    Scene(
        name="autoscaler at work",
        story="the autoscaler scales deployment/storefront to 4, which it may",
        thing=deployment("checkout", "storefront"),
        field="/spec/replicas",
        declared=4,
        act=autoscale,
        expected=Expected(state=None, kind=None, decisions=(), outcome=None),
        meaning="the change is seen, and is no drift",
        hold=LEFT,
        slow=True,
    ),
    Scene(
        name="change in an observed namespace",
        story="vendor-script changes the image of deployment/reports in legacy, which is only observed",
        thing=deployment("legacy", "reports"),
        field="/spec/template/spec/containers/0/image",
        declared="registry.example.com/legacy/reports:2011.4",
        act=touch_legacy,
        expected=Expected(
            path="/spec/template/spec/containers/0/image",
            manager="vendor-script",
            decisions=(Said(Verdict.OBSERVE, Reason.OBSERVE_MODE),),
            outcome=None,
            ends="other",
        ),
        meaning="reported, and not touched",
        hold=LEFT,
        slow=True,
    ),
    Scene(
        name="change under a pause",
        story="deployment/cart is paused; load-test sets TTL=1m; the pause is lifted",
        thing=deployment("checkout", "cart"),
        field="/spec/template/spec/containers/0/env/0/value",
        declared="24h",
        act=change_while_paused,
        expected=Expected(
            path="/spec/template/spec/containers/0/env/0/value",
            manager="load-test",
            decisions=(Said(Verdict.WAIT, Reason.PAUSED), Said(Verdict.ACT, Reason.POLICY)),
        ),
        meaning="left alone while paused, corrected after it",
        slow=True,
    ),
    Scene(
        name="two writers fight",
        story="cart-tuner writes max-carts again each time it is corrected",
        thing=config_map("checkout", "cart-limits"),
        field="/data/max-carts",
        declared="100000",
        act=fight,
        expected=Expected(
            path="/data/max-carts",
            manager="cart-tuner",
            decisions=(Said(Verdict.ACT, Reason.POLICY), Said(Verdict.DENY, Reason.FIGHT)),
            key=1,
            ends="other",
        ),
        meaning="the fight is recognised, and Setpoint stops writing",
        hold=LEFT,
        slow=True,
    ),
    Scene(
        name="fix that does not hold",
        story="oncall-hotfix lets deployment/search run on any node; where it is declared to run, it cannot",
        thing=deployment("checkout", "search"),
        field="/spec/template/spec/nodeSelector",
        declared={"example.com/disk": "nvme"},
        act=drop_node_selector,
        expected=Expected(
            path="/spec/template/spec/nodeSelector",
            kind="removed",
            manager=NO_TRACE,
            decisions=(Said(Verdict.ACT, Reason.POLICY), Said(Verdict.DENY, Reason.ATTEMPTS_SPENT)),
            outcome=Outcome.UNDONE,
            ends="other",
        ),
        meaning="tried once, not available in time, put back as it was found",
        slow=True,
    ),
)
