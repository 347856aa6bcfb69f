"""The demo's scenes against the example platform, and what is made of what was seen."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from schemas.events import (
    ActionFinished,
    ControlRemoved,
    DecisionMade,
    DriftDetected,
    FieldChange,
    Mode,
    Outcome,
    Reason,
    TriggerRef,
    Verdict,
    make_event,
    parse_event,
)
from schemas.policy import Policy
from schemas.target import Target
from services.kube.declaration.baselines import DeclaredState, load_baselines
from services.kube.objects import ObjectKey
from services.kube.pointer import parse_pointer, resolve
from services.local.controls import Controls
from services.local.director import Result
from services.local.display import DataDisplay, TextDisplay, describe, value_text
from services.local.example import examples_folder
from services.local.judging import Seen, judge, key_decision
from services.local.report import Report
from services.local.scenes import SCENES, Expected, Said, Scene
from services.local.stage import ABSENT, Glimpse, last_return
from services.local.stream import Arrival, Stream
from services.local.summary import Summary, split_url
from services.runtime.clock import SystemClock
from services.runtime.controls import ControlWriter
from services.runtime.kafka import cluster_partition
from services.runtime.userfiles import load_documents

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EXAMPLES = examples_folder()
AUTOSCALED = "autoscaler at work"


@pytest.fixture(scope="module")
def declared() -> DeclaredState:
    return load_baselines(EXAMPLES / "baselines.yaml")


@pytest.fixture(scope="module")
def policies() -> list[Policy]:
    models = [entry.model for entry in load_documents(EXAMPLES / "policies")]
    return sorted((model for model in models if isinstance(model, Policy)), key=lambda policy: policy.name)


def key_of_scene(scene: Scene) -> ObjectKey:
    thing = scene.thing
    return ObjectKey(thing.group, thing.kind, thing.namespace, thing.name)


def scene_named(name: str) -> Scene:
    return next(scene for scene in SCENES if scene.name == name)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_states_what_the_example_platform_declares(scene: Scene, declared: DeclaredState) -> None:
    """A scene's object is declared, and its field holds there what the scene calls declared."""
    obj = next(entry.obj for entry in declared.objects if entry.key == key_of_scene(scene))
    found = resolve(obj, parse_pointer(scene.field), ABSENT) if scene.field else "present"
    assert found == (ABSENT if scene.name == AUTOSCALED else scene.declared)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_expects_what_its_policy_allows(scene: Scene, declared: DeclaredState, policies: list[Policy]) -> None:
    """Only an enforcing policy may lead to an action, and only one that undoes to an undo."""
    baseline = next(entry.baseline for entry in declared.objects if entry.key == key_of_scene(scene))
    policy = next(policy for policy in policies if policy.applies(baseline, scene.thing.target("any")))
    acts = scene.expected.outcome is not None
    assert (policy.spec.mode is Mode.ENFORCE) == acts or not scene.expected.drift
    if scene.expected.outcome is Outcome.UNDONE:
        assert policy.spec.do[0].undo == "auto"


def test_scenes_share_no_target_and_no_name() -> None:
    """Scenes play at the same time, so that one must not see what is another's."""
    assert len({key_of_scene(scene) for scene in SCENES}) == len({scene.name for scene in SCENES}) == len(SCENES)


def test_the_examples_cover_what_the_demo_promises(declared: DeclaredState) -> None:
    """Some sixty objects of many kinds in three namespaces, and no autoscaled workload with declared replicas."""
    assert 55 <= len(declared.objects) <= 75
    assert {entry.key.namespace for entry in declared.objects} == {"", "payments", "checkout", "legacy"}
    scaled = next(entry for entry in declared.objects if entry.key == key_of_scene(scene_named(AUTOSCALED)))
    assert "replicas" not in scaled.obj["spec"]


TARGET = Target(cluster="c", group="apps", kind="Deployment", namespace="n", name="x")
FIELD = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=1, manager="kubectl")
EXPECTED = Expected(path="/spec/replicas", manager="kubectl")


def drift(*fields: FieldChange, state: Any = "changed") -> DriftDetected:
    return DriftDetected(
        target=TARGET, drift_id="d", baseline="b", state=state, engine="dry-run", onset=NOW, detected_at=NOW,
        resource_version="7", fields=fields,
    )  # fmt: skip


def decision(verdict: Verdict = Verdict.ACT, reason: Reason = Reason.POLICY) -> DecisionMade:
    return DecisionMade(
        decision_id="x", target=TARGET, trigger=TriggerRef(type="t", id="i"), policy="p", mode=Mode.ENFORCE,
        verdict=verdict, reason=reason,
    )  # fmt: skip


def finished(outcome: Outcome = Outcome.SUCCEEDED) -> ActionFinished:
    return ActionFinished(
        action_id="a", target=TARGET, action="revert", policy="p", attempt=1, outcome=outcome, reason=Reason.VERIFIED,
        started_at=NOW, finished_at=NOW + timedelta(milliseconds=40),
    )  # fmt: skip


GOOD = Seen(noticed=True, drifts=(drift(FIELD),), decisions=(decision(),), finished=(finished(),), corrected_ms=80.0)
NO_DRIFT = Expected(state=None, decisions=(), outcome=None)
FOUGHT = Expected(
    path="/spec/replicas", manager="kubectl", ends="other", key=1,
    decisions=(Said(Verdict.ACT, Reason.POLICY), Said(Verdict.DENY, Reason.FIGHT)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "seen", "word"),
    [
        pytest.param(EXPECTED, GOOD, "", id="as stated"),
        pytest.param(EXPECTED, Seen(), "no drift was reported", id="nothing seen"),
        pytest.param(EXPECTED, replace(GOOD, drifts=(drift(state="missing"),)), "missing", id="other state"),
        pytest.param(EXPECTED, replace(GOOD, drifts=(drift(),)), "not among", id="other field"),
        pytest.param(
            EXPECTED, replace(GOOD, drifts=(drift(FIELD.model_copy(update={"manager": None})),)), "nobody", id="nobody"
        ),
        pytest.param(
            EXPECTED, replace(GOOD, drifts=(drift(FIELD.model_copy(update={"kind": "added"})),)), "added", id="kind"
        ),
        pytest.param(EXPECTED, replace(GOOD, decisions=()), "no decision act/policy", id="no decision"),
        pytest.param(EXPECTED, replace(GOOD, finished=(finished(Outcome.FAILED),)), "failed", id="other outcome"),
        pytest.param(EXPECTED, replace(GOOD, under_way=True), "under way", id="not over"),
        pytest.param(EXPECTED, replace(GOOD, at_declared=False), "not as declared", id="not corrected"),
        pytest.param(NO_DRIFT, Seen(noticed=True), "", id="no drift as stated"),
        pytest.param(NO_DRIFT, Seen(), "not noticed", id="no drift because nobody looked"),
        pytest.param(NO_DRIFT, GOOD, "there is none", id="false alarm"),
        pytest.param(
            FOUGHT,
            replace(GOOD, at_declared=False, decisions=(decision(), decision(Verdict.DENY, Reason.FIGHT))),
            "",
            id="two decisions in order",
        ),
        pytest.param(
            FOUGHT,
            replace(GOOD, at_declared=False, decisions=(decision(Verdict.DENY, Reason.FIGHT), decision())),
            "no decision deny/fight",
            id="two decisions out of order",
        ),
    ],
)
def test_a_scene_is_judged_by_all_that_it_states(expected: Expected, seen: Seen, word: str) -> None:
    """Nothing to say where all is as stated; else a line that names what is not."""
    problems = judge(expected, seen)
    assert any(word in problem for problem in problems) if word else problems == ()


def test_the_key_decision_is_the_one_the_scene_is_about() -> None:
    """A fight is about the denial, however many corrections came before or after it."""
    seen = replace(GOOD, decisions=(decision(), decision(Verdict.DENY, Reason.FIGHT), decision()))
    found = key_decision(FOUGHT, seen)
    assert found is not None
    assert found.reason is Reason.FIGHT


@pytest.mark.parametrize(
    ("states", "since", "expected"),
    [
        pytest.param("dd", 0, None, id="never left"),
        pytest.param("dxd", 0, (1, 2), id="left and back"),
        pytest.param("dxxd", 0, (1, 3), id="changed twice while away"),
        pytest.param("dxdxd", 0, (3, 4), id="the last time counts"),
        pytest.param("dxdx", 0, None, id="not back"),
        pytest.param("dxxxd", 3, (3, 4), id="paused until the third second"),
    ],
)
def test_time_to_correct_is_from_leaving_to_returning(
    states: str, since: float, expected: tuple[float, float] | None
) -> None:
    """Measured on one clock by one watch, and never from inside a pause."""
    seen = [Arrival(float(at), Glimpse(at, {"at": state})) for at, state in enumerate(states)]
    assert last_return(seen, lambda glimpse: glimpse.value("/at") == "d", since) == expected


def test_an_absent_object_is_not_a_present_one() -> None:
    """The pointer to the whole asks for existence; any other finds nothing in an object that is gone."""
    assert Glimpse(1, {"a": 1}).value("") == "present"
    assert Glimpse(1, None).value("") == Glimpse(1, None).value("/a") == Glimpse(1, {}).value("/a") == ABSENT


async def test_a_stream_wakes_who_waits_and_gives_up_in_time() -> None:
    """What has arrived before counts as well as what arrives later."""
    stream: Stream[int] = Stream(SystemClock())
    stream.add(1)
    waiting = asyncio.create_task(stream.wait(lambda item: item == 2, within=5))
    await asyncio.sleep(0)
    stream.add(2)
    found = await waiting
    assert found is not None
    assert found.item == 2
    assert await stream.wait(lambda item: item == 3, within=0) is None


def report(*results: Result, missing: int = 0) -> Report:
    return Report(
        results, Summary({"Decisions": [{"verdict": "act", "times": 3}]}, missing), (("what", "how"),), 4, True
    )


def text_console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=120), out


def test_scenes_are_shown_in_order_though_they_end_in_any() -> None:
    """A later scene's lines are held back until the earlier ones are over."""
    console, out = text_console()
    display = TextDisplay(console)
    first, second = SCENES[0], SCENES[1]
    display.open([first, second])
    event = make_event(decision(), id="1", source="s", subject=TARGET.subject, time=NOW, correlationid="1")
    display.happened(second, event, 0.1)
    display.end(Result(second, TARGET, GOOD, ()))
    assert second.name not in out.getvalue()
    display.happened(first, event, 0.2)
    assert "0.20 s  decision  act (policy p)" in out.getvalue()
    display.end(Result(first, TARGET, GOOD, ("it rained",)))
    assert out.getvalue().index("it rained") < out.getvalue().index(second.name)
    assert "80 ms" in out.getvalue()


def test_nothing_is_coloured_where_there_is_no_terminal() -> None:
    """Output into a file or a pipe holds no escape codes and no markup."""
    console, out = text_console()
    display = TextDisplay(console)
    display.open(SCENES)
    for scene in SCENES:
        display.end(Result(scene, TARGET, GOOD, ()))
    display.finish(report(Result(SCENES[0], TARGET, GOOD, ())))
    assert "\x1b" not in out.getvalue()
    assert "[/" not in out.getvalue()
    assert "1 of 1 scenes ended as stated" in out.getvalue()


def test_the_data_says_the_same_as_the_text() -> None:
    """`--output json` is one JSON document with what a person would see."""
    console, out = text_console()
    display = DataDisplay(console)
    display.open(SCENES)
    display.finish(report(Result(SCENES[0], TARGET, GOOD, ())))
    data = json.loads(out.getvalue())
    scene = data["scenes"][0]
    assert data["ok"] is True
    assert (scene["decision"], scene["reason"], scene["outcome"]) == ("act", "policy", "succeeded")
    assert (scene["manager"], scene["time_to_correct_ms"], scene["ok"]) == ("kubectl", 80.0, True)
    assert scene["fields"][0]["path"] == scene["expected"]["path"] == "/spec/replicas"
    assert data["summary"]["Decisions"] == [{"verdict": "act", "times": 3}]


@pytest.mark.parametrize(
    ("problems", "missing", "ok"),
    [
        pytest.param((), 0, True, id="all well"),
        pytest.param(("x",), 0, False, id="a scene ended otherwise"),
        pytest.param((), 1, False, id="the record is not whole"),
    ],
)
def test_the_demo_is_well_only_if_everything_is(problems: tuple[str, ...], missing: int, ok: bool) -> None:
    """Scenes and record both count."""
    assert report(Result(SCENES[0], TARGET, GOOD, problems), missing=missing).ok is ok


def test_a_drift_is_told_with_before_after_and_who() -> None:
    """The field that the scene is about stands first, whatever else differs."""
    other = FieldChange(path="/a", kind="removed", desired="x")
    event = make_event(drift(other, FIELD), id="1", source="s", subject=TARGET.subject, time=NOW, correlationid="1")
    text = describe(SCENES[0], event)
    assert text is not None
    assert "/spec/replicas" in text
    assert "3 → 1 and 1 more" in text
    assert "kubectl" in text


def test_a_long_value_keeps_its_end() -> None:
    """The tag of an image matters more than its registry."""
    text = value_text("registry.example.com/" + "x" * 80 + ":1.2.3")
    assert text.startswith("…")
    assert text.endswith(':1.2.3"')
    assert len(text) < 60


def test_examples_are_found_in_a_checkout() -> None:
    """The folder has the three things that the demo needs."""
    assert {path.name for path in Path(EXAMPLES).iterdir()} >= {"platform", "baselines.yaml", "policies", "bookstore"}


def test_a_url_with_a_database_is_split_as_http_wants_it() -> None:
    """Queries go to the root; the database is a parameter, and none where the URL names none."""
    assert split_url("http://127.0.0.1:8123/setpoint") == ("http://127.0.0.1:8123/", {"database": "setpoint"})
    assert split_url("https://user:secret@db.example:8443") == ("https://user:secret@db.example:8443/", {})


async def test_a_control_is_keyed_by_cluster_and_name_and_ends_with_a_tombstone() -> None:
    """All records of one control share key and partition, so that compaction leaves nothing of it."""
    sent: list[dict[str, Any]] = []

    class Producer:
        async def send(self, topic: str, **record: Any) -> "asyncio.Future[None]":
            sent.append(record)
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

    class NoWait(SystemClock):
        async def sleep(self, seconds: float) -> None:
            pass

    clock = NoWait()
    writer = Controls(ControlWriter(cast(Any, Producer()), 6, clock, "test"), clock)
    await writer.pause(TARGET, "why")
    await writer.resume(TARGET)
    assert {(record["key"], record["partition"]) for record in sent} == {(b"c/demo-x", cluster_partition("c", 6))}
    first, second = (parse_event(record["value"]) for record in sent[:2])
    assert first
    assert second
    assert first.data.scope.covers(TARGET)
    assert isinstance(second.data, ControlRemoved)
    assert sent[2]["value"] is None
