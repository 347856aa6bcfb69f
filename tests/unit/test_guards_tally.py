"""The cluster's attempts: whatever happened to the rows, the tally knows what a look at all of them would say."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Mode, Outcome
from schemas.ledger import Attempt, Flight, InFlight, TargetState
from schemas.target import Target
from services.reconciler.guards.one_at_a_time import one_at_a_time
from services.reconciler.tally import Entry, Tally, entries_of
from tests.guards_kit import asked, case, tried
from tests.reconciler_kit import NOON, target_of

TARGETS = [target_of(name, namespace) for name in ("a", "b") for namespace in ("shop", "pay")]
NODE = Target(cluster="c1", group="", kind="Node", namespace="", name="n1")

attempts = st.builds(
    tried,
    st.integers(0, 20),
    st.sampled_from(["p", "q"]),
    st.sampled_from([None, Outcome.SUCCEEDED, Outcome.FAILED]),
    st.sampled_from(["restart", "scale", "revert"]),
    subject=st.sampled_from([None, TARGETS[0].subject, NODE.subject]),
)
rows = st.builds(
    lambda target, found: TargetState(target=target, attempts=tuple(found)),
    st.sampled_from(TARGETS),
    st.lists(attempts, max_size=4),
)
changes = st.lists(st.one_of(rows, st.sampled_from([target.subject for target in TARGETS])), max_size=20)


def same(found: Any, expected: list[Entry]) -> bool:
    """The same entries, oldest first; in any order where they began together."""
    found = list(found)
    in_order = [entry.at for entry in found] == sorted(entry.at for entry in found)
    return in_order and sorted(map(repr, found)) == sorted(map(repr, expected))


@given(changes)
def test_every_question_is_answered_as_by_a_look_at_all_rows(given_changes: list[TargetState | str]) -> None:
    """Rows come, change in any way and go; no index ever differs from the rows."""
    tally, model = Tally(), dict[str, TargetState]()
    for change in given_changes:
        if isinstance(change, str):
            tally.forget(change)
            model.pop(change, None)
        else:
            tally.put(change)
            model[change.target.subject] = change
    every = [entry for row in model.values() for entry in entries_of(row)]
    since = NOON - timedelta(seconds=10)
    assert same(tally.since(since), [entry for entry in every if entry.at > since])
    assert same(tally.on_alerts, [entry for entry in every if entry.action != "revert"])
    for action in ("restart", "scale", "revert"):
        assert same(tally.of_action(action), [entry for entry in every if entry.action == action])
        assert same(tally.ended_of(action), [one for one in every if one.action == action and one.outcome is not None])
        of_p = [entry for entry in every if entry.action == action and entry.policy == "p"]
        assert same(tally.of_policy("p", action), of_p)
        assert same(tally.of_policy("p", action, "pay"), [entry for entry in of_p if entry.namespace == "pay"])
    own = TargetState(target=TARGETS[0], attempts=(tried(3, "p"),))
    others = [row for key, row in model.items() if key != TARGETS[0].subject]
    wanted = [entry for row in (*others, own) for entry in entries_of(row) if entry.policy == "p"]
    wanted = [entry for entry in wanted if entry.subject == TARGETS[0].subject]
    found = tally.on("p", TARGETS[0].subject, own)
    assert [attempt.at for attempt in found] == sorted(entry.at for entry in wanted)


@given(changes)
def test_what_is_forgotten_leaves_nothing_behind(given_changes: list[TargetState | str]) -> None:
    """A reconciler that runs for months does not grow by what is over."""
    tally = Tally(change for change in given_changes if isinstance(change, TargetState))
    for target in TARGETS:
        tally.forget(target.subject)
    left = (tally.all, tally.on_alerts, tally.by_action, tally.by_policy, tally.by_row, tally.by_subject)
    assert not any((*left, tally.ended, tally.busy))


def flying(target: Target, subject: Target, mode: Mode = Mode.ENFORCE) -> TargetState:
    """A row whose alert has an action on some object under way."""
    flight = Flight(
        action_id="x", decision_id="d", policy="p", action="restart", attempt=1, step=0, started_at=NOON, mode=mode,
        subject=subject,
    )  # fmt: skip
    return TargetState(target=target, cases=(case(target, flight=flight),))


def test_what_is_acted_on_is_busy_for_every_other_row() -> None:
    """For drift and alerts alike; a plan occupies nothing, and the first of two to end frees nothing for others."""
    a, b, own = TARGETS[0], TARGETS[1], TargetState(target=target_of("other"))
    tally = Tally([flying(b, a), flying(TARGETS[2], a), flying(TARGETS[3], NODE, Mode.DRY_RUN)])
    assert tally.busy_elsewhere(a.subject, own)
    assert not tally.busy_elsewhere(NODE.subject, own)
    tally.put(TargetState(target=b))
    assert tally.busy_elsewhere(a.subject, own)
    assert not tally.busy_elsewhere(a.subject, TargetState(target=TARGETS[2]))
    tally.forget(TARGETS[2].subject)
    assert not tally.busy_elsewhere(a.subject, own)
    drifting = InFlight(action_id="x", decision_id="d", policy="p", attempt=1, started_at=NOON)
    tally.put(TargetState(target=a, in_flight=drifting))
    assert tally.busy_elsewhere(a.subject, own)


def test_one_action_at_a_time_on_an_object_whichever_alert_began_it() -> None:
    """Telling people of it is none."""
    pod, web = target_of("web-1", kind="Pod"), target_of()
    tally = Tally([flying(pod, web)])
    request = asked(tally=tally)
    denial = one_at_a_time(request)
    assert denial is not None
    assert denial.reason == "in-flight"
    assert one_at_a_time(asked(of=case(target_of("another")), tally=tally)) is None
    assert one_at_a_time(asked(tally=tally, action="notify")) is None


def test_attempts_of_other_rows_come_with_what_they_were() -> None:
    """Also what only the attempt itself knows."""
    first = Attempt(policy="p", at=NOON, action="restart", subject=NODE.subject, step=2, onset=NOON)
    tally = Tally([TargetState(target=TARGETS[0], attempts=(first,))])
    assert tally.on("p", NODE.subject, TargetState(target=TARGETS[1])) == (first,)
