"""Guards as the reconciler asks them: a storm through the whole state machine, a crash in it, and a run of steps."""

from datetime import timedelta

from schemas.events import ActionStarted, Outcome, Reason, Verdict
from schemas.ledger import Place
from services.reconciler.inputs import Resumed
from tests.reconciler_kit import NOON, target_of
from tests.unit.test_cases import PLACE, POD, WEB, Desk, alert, policy


def test_a_storm_of_500_alerts_through_a_crash_acts_at_most_60_times() -> None:
    """The brake is derived from the ledger's rows, so another process knows it; later the rest is dealt with."""
    desk = Desk(policy(do=[{"deletePod": {}}]))
    for number in range(500):
        pod = target_of(f"web-{number}", kind="Pod")
        desk.fire(alert(f"a{number}", pod), Place(object=pod, pod=pod, workload=WEB))
        desk.now += timedelta(milliseconds=10)
        if number == 40:
            desk.restart()
    assert len(desk.of(ActionStarted)) == 60
    held = [made for made in desk.decisions if made == (Verdict.WAIT, Reason.STORM)]
    assert len(held) == 440
    desk.pass_time(minutes=4)
    assert len(desk.of(ActionStarted)) == 60
    desk.pass_time(minutes=2)
    assert 60 < len(desk.of(ActionStarted)) <= 120


def test_a_run_of_several_steps_on_one_object_is_one_attempt_of_each() -> None:
    """The cool-down holds the second run back, and not the second step."""
    steps = [{"annotate": {"object": "${event.pod}", "set": {"a": "1"}}}, {"evidence": {}}, {"deletePod": {}},
             {"notify": {"to": "#a"}}, {"notify": {"to": "#b"}}]  # fmt: skip
    limits = {"oncePer": "1h", "attempts": {"max": 1, "within": "1h"}, "ineffective": 1, "stays": "10m"}
    desk = Desk(policy(do=steps, limits=limits))
    desk.fire(alert(lasting=False))
    for _ in steps:
        desk.end()
    began = [started.action for started in desk.of(ActionStarted)]
    assert began == ["annotate", "evidence", "delete-pod", "notify", "notify"]
    desk.now += timedelta(minutes=20)
    desk.fire(alert("a2", lasting=False, onset=desk.now))
    assert desk.decisions[-1] == (Verdict.WAIT, Reason.COOLDOWN)


def test_a_loop_over_many_lives_of_an_alert_ends_however_long_its_cooldown() -> None:
    """Each restart helps for some minutes; the next one is an hour away. A person's resume begins a new count."""
    desk = Desk(policy(limits={"oncePer": "1h", "ineffective": 3, "stays": "30m"}))
    for life in range(8):
        one = alert(f"a{life}", onset=desk.now)
        desk.fire(one, PLACE)
        for _ in range(130):
            desk.pass_time(minutes=1)
            if desk.tasks and any(case.flight for case in desk.book.rows[POD.subject].cases):
                desk.end()
                desk.now += timedelta(minutes=5)
                desk.resolve(one)
                break
        desk.now += timedelta(minutes=5)
    assert len(desk.of(ActionStarted)) == 3
    assert (Verdict.DENY, Reason.INEFFECTIVE_CHAIN) in desk.decisions
    desk.give(Resumed("r1"))
    desk.pass_time(minutes=61)
    assert len(desk.of(ActionStarted)) == 4


def test_a_broken_action_stops_for_all_its_objects() -> None:
    """Five failures in a row, on five objects, by one policy; then one tries."""
    desk = Desk(policy(do=[{"deletePod": {}}], limits={"ineffective": 1}))
    pods = [target_of(f"web-{number}", kind="Pod") for number in range(8)]
    for number, pod in enumerate(pods):
        desk.fire(alert(f"a{number}", pod, onset=desk.now), Place(object=pod, pod=pod, workload=WEB))
        if len(desk.of(ActionStarted)) == number + 1:
            desk.end(Outcome.FAILED, Reason.FORBIDDEN)
        desk.now += timedelta(seconds=1)
    assert len(desk.of(ActionStarted)) == 5
    assert desk.decisions.count((Verdict.WAIT, Reason.BREAKER)) == 3
    desk.pass_time(seconds=(NOON + timedelta(minutes=10, seconds=5) - desk.now).total_seconds())
    assert len(desk.of(ActionStarted)) == 6
