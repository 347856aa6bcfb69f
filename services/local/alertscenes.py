"""The demo's scenes on alerts: who calls what, and what must be seen of it, step by step.

A scene is a script: each line of it waits for one thing to be seen, and ends the scene where it is not. They play one
after another, on the Deployments of `deploy/examples/bookstore`, under `deploy/examples/policies`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from schemas.approvals import ApprovalRequested
from schemas.events import ActionFinished, DecisionMade, Outcome, Reason
from services.local.alarms import Alarm

SHOP, ARCHIVE = "bookstore", "bookstore-archive"
POLICIES = "networkpolicies.networking.k8s.io"
MINING = {"fd.sip": "192.0.2.7"}
STORM_MAX = 60
"""The setting's default: so many actions on alerts within five minutes, and then a brake."""


class AlertHand(Protocol):
    """What a scene may do and wait for; `services/local/alertplay.py` has the real one.

    Everything that waits fails the scene where it waits in vain. Each event is met once, in the order of their coming.
    """

    async def falco(self, rule: str, pod: str, **fields: str) -> None:
        """Falco says something of a pod of the shop."""

    async def alert(self, name: str, deployment: str, namespace: str = SHOP, **labels: str) -> Alarm:
        """Alertmanager says that something is wrong with a Deployment, and means it until `over`."""

    async def over(self, *alarms: Alarm) -> None:
        """It is not wrong any more."""

    async def decided(self, policy: str, reason: Reason, within: float = 30.0) -> DecisionMade:
        """Wait for a policy's decision with this reason."""

    async def ended(self, policy: str, outcome: Outcome, reason: Reason, within: float = 60.0) -> ActionFinished:
        """Wait for an action of a policy with this end."""

    async def asked(self, policy: str) -> ApprovalRequested:
        """Wait for a policy's question to people."""

    async def answer(self, asked: ApprovalRequested, answer: str, user: str) -> None:
        """A person says `approve` or `deny`."""

    async def pause(self, deployment: str) -> Callable[[], Awaitable[None]]:
        """Pause a Deployment; what is returned lifts it."""

    async def kill_switch(self) -> Callable[[], Awaitable[None]]:
        """Throw the kill switch; what is returned takes it back."""

    async def kubectl(self, *arguments: str) -> str:
        """Run the real kubectl in the shop's namespace; what it printed."""

    async def sees(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
        """Wait until something holds in the cluster, and say so."""

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
        """Wait until something holds."""

    def decisions(self, policy: str) -> list[DecisionMade]:
        """All of a policy that this scene has seen."""

    def say(self, text: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class AlertScene:
    """One scene; `meaning` is what it shows where everything was seen."""

    name: str
    story: str
    act: Callable[[AlertHand], Awaitable[None]]
    meaning: str


async def first_pod(hand: AlertHand, app: str) -> str:
    """The name of a Deployment's pod."""
    names = await hand.kubectl("get", "pods", f"--selector=app={app}", "--output=name")
    return names.split()[0].removeprefix("pod/")


async def shell(hand: AlertHand) -> None:
    pod = await first_pod(hand, "frontend")

    async def policies() -> int:
        return len((await hand.kubectl("get", POLICIES, "--output=name")).split())

    async def cut() -> bool:
        return await policies() == 1

    async def open_again() -> bool:
        return await policies() == 0

    await hand.falco("Terminal shell in container", pod, **{"proc.cmdline": "bash -i"})
    await hand.ended("isolate-shells", Outcome.SUCCEEDED, Reason.VERIFIED)
    await hand.ended("isolate-shells", Outcome.SUCCEEDED, Reason.VERIFIED)
    await hand.sees(f"a NetworkPolicy cuts {pod} off", cut)
    await hand.ended("isolate-shells", Outcome.SUCCEEDED, Reason.LIFTED)
    await hand.sees("its time is over, and the NetworkPolicy is gone", open_again)


async def asking(hand: AlertHand) -> None:
    alarm = await hand.alert("CatalogueSlow", "catalogue", severity="critical")
    asked = await hand.asked("restart-catalogue")
    await hand.answer(asked, "approve", "ann")
    await hand.decided("restart-catalogue", Reason.APPROVED)
    await hand.ended("restart-catalogue", Outcome.SUCCEEDED, Reason.VERIFIED, within=120.0)
    await hand.over(alarm)


async def crash_loop(hand: AlertHand) -> None:
    alarm = await hand.alert("KubePodCrashLooping", "recommendations", severity="warning")
    for _ in range(2):
        await hand.ended("restart-crash-loops", Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, within=120.0)
    await hand.decided("restart-crash-loops", Reason.INEFFECTIVE_CHAIN)
    await hand.ended("restart-crash-loops", Outcome.SUCCEEDED, Reason.VERIFIED)
    await hand.over(alarm)


async def rollback(hand: AlertHand) -> None:
    image = "registry.example.com/bookstore/checkout:7.1.0"
    await hand.kubectl("set", "image", "deployment/checkout", f"checkout={image}")
    await hand.kubectl("rollout", "status", "deployment/checkout", "--timeout=30s")

    async def newest() -> bool:
        path = "jsonpath={.spec.template.spec.containers[0].image}"
        return await hand.kubectl("get", "deployment/checkout", f"--output={path}") == image

    async def older() -> bool:
        return not await newest()

    alarm = await hand.alert("CheckoutErrors", "checkout", severity="critical")
    await hand.sees("checkout is rolled back to 7.0.2", older)
    await hand.ended("roll-back-checkout", Outcome.UNDONE, Reason.NOT_VERIFIED)
    await hand.sees("that did not help: 7.1.0 is back", newest)
    await hand.over(alarm)


async def guards(hand: AlertHand) -> None:
    for guard in (
        killed, protected, young, frozen, paused, one_at_a_time, cooled, spent, limited, small, broken, denied, changed,
    ):  # fmt: skip
        await guard(hand)


async def killed(hand: AlertHand) -> None:
    take_back = await hand.kill_switch()
    alarm = await hand.alert("Guarded", "frontend", instance="killed")
    await hand.decided("guarded", Reason.KILL_SWITCH)
    await hand.over(alarm)
    await take_back()


async def protected(hand: AlertHand) -> None:
    alarm = await hand.alert("GuardedProtected", "frontend")
    await hand.decided("guarded-protected", Reason.PROTECTED_NAMESPACE)
    await hand.over(alarm)


async def young(hand: AlertHand) -> None:
    alarm = await hand.alert("GuardedTooYoung", "frontend")
    await hand.decided("guarded-too-young", Reason.TOO_YOUNG)
    await hand.over(alarm)


async def frozen(hand: AlertHand) -> None:
    alarm = await hand.alert("Guarded", "archive", ARCHIVE, instance="frozen")
    await hand.decided("guarded", Reason.MAINTENANCE)
    await hand.over(alarm)


async def paused(hand: AlertHand) -> None:
    resume = await hand.pause("frontend")
    alarm = await hand.alert("Guarded", "frontend", instance="paused")
    await hand.decided("guarded", Reason.PAUSED)
    await hand.over(alarm)
    await resume()


async def one_at_a_time(hand: AlertHand) -> None:
    await _second_is("GuardedOneAtATime", "guarded-one-at-a-time", Reason.IN_FLIGHT, hand)


async def cooled(hand: AlertHand) -> None:
    await _second_is("GuardedCooldown", "guarded-cooldown", Reason.COOLDOWN, hand)


async def spent(hand: AlertHand) -> None:
    await _second_is("GuardedBudget", "guarded-budget", Reason.ATTEMPTS_SPENT, hand)


async def limited(hand: AlertHand) -> None:
    await _second_is("GuardedRate", "guarded-rate", Reason.RATE, hand)


async def broken(hand: AlertHand) -> None:
    await _second_is("GuardedBreaker", "guarded-breaker", Reason.BREAKER, hand, first=Reason.INVALID)


async def small(hand: AlertHand) -> None:
    alarm = await hand.alert("GuardedBlastRadius", "frontend")
    await hand.ended("guarded-blast-radius", Outcome.SUPERSEDED, Reason.BLAST_RADIUS)
    await hand.over(alarm)


async def denied(hand: AlertHand) -> None:
    alarm = await hand.alert("GuardedApproval", "frontend", instance="denied")
    await hand.answer(await hand.asked("guarded-approval"), "deny", "bob")
    await hand.decided("guarded-approval", Reason.DENIED)
    await hand.over(alarm)


async def changed(hand: AlertHand) -> None:
    """Somebody scales while the question is open: what was approved would not be what is done."""
    alarm = await hand.alert("GuardedApproval", "frontend", instance="changed")
    asked = await hand.asked("guarded-approval")
    await hand.kubectl("scale", "deployment/frontend", "--replicas=3")
    await hand.answer(asked, "approve", "ann")
    await hand.ended("guarded-approval", Outcome.SUPERSEDED, Reason.PLAN_CHANGED)
    await hand.answer(await hand.asked("guarded-approval"), "deny", "ann")
    await hand.decided("guarded-approval", Reason.DENIED)
    await hand.over(alarm)


async def _second_is(
    name: str, policy: str, reason: Reason, hand: AlertHand, *, first: Reason = Reason.POLICY
) -> None:  # fmt: skip
    """Two alerts about one thing: the first is acted on, the second is not."""
    one = await hand.alert(name, "frontend", instance="a")
    if first is Reason.POLICY:
        await hand.decided(policy, first)
    else:
        await hand.ended(policy, Outcome.FAILED, first)
    other = await hand.alert(name, "frontend", instance="b")
    await hand.decided(policy, reason)
    await hand.over(other, one)


async def storm(hand: AlertHand) -> None:
    names = await hand.kubectl("get", "pods", "--selector=app=crawler", "--output=name")
    pods = [name.removeprefix("pod/") for name in names.split()]
    await asyncio.gather(*(hand.falco("Outbound connection to a mining pool", pod, **MINING) for pod in pods))
    hand.say(f"alerts    {len(pods)} pods talk to a mining pool")
    await hand.decided("mark-miners", Reason.STORM)

    async def all_decided() -> bool:
        return len(hand.decisions("mark-miners")) == len(pods)

    await hand.until("every alert is decided", all_decided)
    held = sum(made.reason is Reason.STORM for made in hand.decisions("mark-miners"))
    acted = len(pods) - held

    async def marked() -> bool:
        found = await hand.kubectl("get", "pods", "--selector=bookstore.example.com/suspect", "--output=name")
        return len(found.split()) == acted <= STORM_MAX

    await hand.sees(f"{acted} are marked, and {held} wait behind the brake", marked, within=90.0)


ALERT_SCENES: tuple[AlertScene, ...] = (
    AlertScene(
        "a shell in a container",
        "Falco: Terminal shell in container, in a pod of deployment/frontend",
        shell,
        "evidence kept, cut off the network, and let in again when its time was over",
    ),
    AlertScene(
        "people are asked",
        "Alertmanager: CatalogueSlow, critical; the policy wants somebody on call to agree",
        asking,
        "shown as the change it is, approved once, done, verified",
    ),
    AlertScene(
        "a crash loop that no restart ends",
        "Alertmanager: KubePodCrashLooping, of deployment/recommendations, and it goes on",
        crash_loop,
        "restarted twice without help, then given up, and people are told",
    ),
    AlertScene(
        "a rollback that was not it",
        "Alertmanager: CheckoutErrors, after deployment/checkout went from 7.0.2 to 7.1.0",
        rollback,
        "rolled back, no better, and put back as it was found",
    ),
    AlertScene(
        "every guard says no once",
        "thirteen alerts that must not be acted on, each for a reason of its own",
        guards,
        "each was held back, and says why",
    ),
    AlertScene(
        "a storm",
        "Falco says the same of every pod of deployment/crawler, at once",
        storm,
        "a bounded number was acted on, the others wait for the storm to pass",
    ),
)
