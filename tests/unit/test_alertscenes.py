"""The demo's scenes on alerts against the example policies, and what is made of what was seen."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from schemas.approvals import ApprovalRequested
from schemas.events import ActionFinished, DecisionMade, Event, Mode, Outcome, Reason, TriggerRef, Verdict, make_event
from schemas.policy import Policy
from schemas.target import Target
from services.kube.declaration.manifests import load_folder
from services.local.alarms import Alarm, make_door
from services.local.alertplay import AlertResult, Missed, Play, Players
from services.local.alertscenes import ALERT_SCENES, SHOP, AlertScene
from services.local.display import DataDisplay, TextDisplay
from services.local.example import examples_folder
from services.local.report import Report
from services.local.stream import Arrival
from services.local.summary import Summary
from services.runtime.userfiles import load_documents
from tests.fakes import NOON, StillClock

EXAMPLES = examples_folder()
WEB = Target(cluster="demo", group="apps", kind="Deployment", namespace=SHOP, name="frontend")


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    models = [entry.model for entry in load_documents(EXAMPLES / "policies")]
    return {model.name: model for model in models if isinstance(model, Policy)}


class Reader:
    """A hand to which everything comes at once; it notes what a script names."""

    def __init__(self) -> None:
        self.policies: set[str] = set()
        self.alerts: set[tuple[str, str, str]] = set()
        self.rules: set[str] = set()

    async def falco(self, rule: str, pod: str, **fields: str) -> None:
        self.rules.add(rule)

    async def alert(self, name: str, deployment: str, namespace: str = SHOP, **labels: str) -> Alarm:
        self.alerts.add((name, deployment, namespace))
        return Alarm({"alertname": name}, NOON)

    async def over(self, *alarms: Alarm) -> None: ...

    async def decided(self, policy: str, reason: Reason, within: float = 10.0) -> Any:
        self.policies.add(policy)

    async def ended(self, policy: str, outcome: Outcome, reason: Reason, within: float = 20.0) -> Any:
        self.policies.add(policy)

    async def asked(self, policy: str) -> Any:
        self.policies.add(policy)

    async def answer(self, asked: ApprovalRequested, answer: str, user: str) -> None: ...

    async def pause(self, deployment: str) -> Callable[[], Awaitable[None]]:
        return self.over

    async def kill_switch(self) -> Callable[[], Awaitable[None]]:
        return self.over

    async def kubectl(self, *arguments: str) -> str:
        return "pod/some-pod"

    async def sees(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
        await holds()

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 20.0) -> None:
        await holds()

    def decisions(self, policy: str) -> list[DecisionMade]:
        self.policies.add(policy)
        return []

    def say(self, text: str) -> None: ...


@pytest.mark.parametrize("scene", ALERT_SCENES, ids=lambda scene: scene.name)
async def test_a_scene_names_what_the_examples_have(scene: AlertScene, policies: dict[str, Policy]) -> None:
    """Its policies exist, may act, and want the alerts that it raises; its Deployments exist."""
    reader = Reader()
    await scene.act(cast(Any, reader))
    assert reader.policies <= set(policies)
    assert {policies[name].spec.mode for name in reader.policies} == {Mode.ENFORCE}
    wanted = {policies[name].spec.trigger.alert for name in reader.policies}
    assert wanted == {name for name, _, _ in reader.alerts} | reader.rules
    found = {(obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in _objects()}
    assert {(deployment, namespace) for _, deployment, namespace in reader.alerts} <= found


async def test_every_example_on_alerts_is_played(policies: dict[str, Policy]) -> None:
    """A policy that no scene shows is one that nobody has seen work."""
    reader = Reader()
    for scene in ALERT_SCENES:
        await scene.act(cast(Any, reader))
    assert reader.policies == {name for name, policy in policies.items() if policy.spec.trigger.alert}


def _objects() -> list[dict[str, Any]]:
    return [manifest.obj for manifest in load_folder(EXAMPLES / "bookstore")]


class Lines:
    """What was shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def alert_said(self, text: str, after_s: float) -> None:
        self.lines.append(text)


@pytest.fixture
def play() -> Play:
    players = Players(None, None, None, None, StillClock(), Lines())  # type: ignore[arg-type]
    return Play(players)


def decision(policy: str = "p", reason: Reason = Reason.POLICY, id: str = "1") -> Event[Any]:
    made = DecisionMade(
        decision_id=id, target=WEB, trigger=TriggerRef(type="t", id="e"), alert_id="a", policy=policy,
        mode=Mode.ENFORCE, verdict=Verdict.ACT, reason=reason, message="[told]", evaluation=0,
    )  # fmt: skip
    return make_event(made, id=id, source="test", subject=WEB.subject, time=NOON, correlationid="a")


async def test_each_event_is_met_once(play: Play) -> None:
    """Two of a kind are two, and one of another policy is none."""
    for event in (decision(id="1"), decision("other", id="2"), decision(id="3")):
        play.hear(Arrival(0.0, event))
    found = [await play.decided("p", Reason.POLICY) for _ in range(2)]
    assert [made.decision_id for made in found] == ["1", "3"]


async def test_what_does_not_come_is_told_with_what_came(play: Play) -> None:
    """A person reads why the demo failed without opening a log."""
    play.hear(Arrival(0.0, decision("other", Reason.RATE)))
    with pytest.raises(Missed, match=r"p decides: policy; seen: other decided act/rate"):
        await play.decided("p", Reason.POLICY, within=0.01)


async def test_one_that_comes_later_is_waited_for(play: Play) -> None:
    """It wakes whoever waits."""
    waiting = asyncio.create_task(play.decided("p", Reason.POLICY))
    await asyncio.sleep(0)
    play.hear(Arrival(0.0, decision()))
    assert (await waiting).policy == "p"


def test_a_door_has_a_secret_for_each_who_may_knock(tmp_path: Path) -> None:
    """Another one each time, and in files for the gateway alone."""
    one, other = make_door("demo", tmp_path / "a"), make_door("demo", tmp_path / "b")
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "alertmanager.demo", "approvals.ann", "approvals.bob", "falcosidekick.demo",
    ]  # fmt: skip
    assert len({*one.secrets.values(), *other.secrets.values()}) == 8
    assert one.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("problems", [(), ("not [seen]",)], ids=["good", "bad"])
def test_a_report_shows_and_counts_the_scenes_on_alerts(problems: tuple[str, ...]) -> None:
    """For people and as data, and one bad scene fails the whole."""
    done = ActionFinished(
        action_id="x", target=WEB, alert_id="a", action="label", policy="p", attempt=1, outcome=Outcome.SUCCEEDED,
        reason=Reason.VERIFIED, started_at=NOON, finished_at=NOON,
    )  # fmt: skip
    result = AlertResult(ALERT_SCENES[0], (decision().data,), (done,), problems, 12.0)
    report = Report((), Summary({}, 0), (), 1.0, False, (result,))
    assert (report.ok, report.good, report.scenes) == (not problems, int(not problems), 1)
    text, data = io.StringIO(), io.StringIO()
    shown = TextDisplay(Console(file=text, width=160))
    shown.alert_open(12, result.scene)
    shown.alert_said("decision", 0.5)
    shown.alert_end(result)
    shown.finish(report)
    assert ("not [seen]" in text.getvalue()) == bool(problems)
    assert "label succeeded" in text.getvalue()
    DataDisplay(Console(file=data, width=160)).finish(report)
    (told,) = json.loads(data.getvalue())["alerts"]
    assert (told["ok"], told["problems"], told["decisions"][0]["reason"]) == (not problems, list(problems), "policy")
