"""Hours of schedules: each is told once, also over restarts, and what is long over is left."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import ActionStarted, DecisionMade
from schemas.ledger import TargetState
from schemas.policy import Policy
from services.reconciler.book import Book, Outcome
from services.reconciler.guards import Bounds
from services.reconciler.inputs import Fired, World
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.policies.schedules import Schedules, following

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def policy(schedule: str = "*/10 * * * *", zone: str = "UTC", name: str = "nightly", **match: Any) -> Policy:
    trigger = {"schedule": schedule, "timeZone": zone}
    spec = {"trigger": trigger, "mode": "enforce", "do": [{"notify": {"to": "#ops"}}], "match": match}
    document = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name}, "spec": spec}
    return Policy.model_validate(document)


class Day:
    """A book and its schedules, through time."""

    def __init__(self, *policies: Policy) -> None:
        self.policies, self.now = policies, NOON + timedelta(minutes=1)
        self.schedules, self.book = Schedules("c1"), Book()
        self.hours: list[datetime] = []
        self.facts: list[Any] = []
        self.go()

    def world(self) -> World:
        return World(self.now, self.policies, (), Bounds("c1"), index=PolicyIndex(self.policies))

    def go(self, **time: float) -> int:
        """Pass time, and take in what has come; how many hours that were."""
        self.now += timedelta(**time)
        out, before = Outcome(), len(self.hours)
        for subject, given in self.schedules.due(self.world(), self.book.rows):
            if isinstance(given, Fired):
                self.hours.append(given.data.onset)
            self.book.take(subject, given, self.world(), out)
        self.facts += [fact.data for fact in out.facts]
        return len(self.hours) - before

    def restart(self, **time: float) -> None:
        """Another process reads the ledger, after a while."""
        rows = [TargetState.model_validate_json(row.model_dump_json()) for row in self.book.rows.values()]
        self.book, self.schedules = Book(rows), Schedules("c1")
        self.now += timedelta(**time)


def test_an_hour_is_told_once_when_it_comes() -> None:
    """Not before, not at the start, and not again."""
    day = Day(policy())
    assert day.hours == []
    assert day.schedules.next_due() == NOON + timedelta(minutes=10)
    assert (day.go(minutes=8), day.go(minutes=1), day.go(seconds=1)) == (0, 1, 0)
    assert [type(fact) for fact in day.facts] == [DecisionMade, ActionStarted]


def test_a_restart_tells_no_hour_again_and_forgets_none() -> None:
    """The ledger keeps the last one that was seen to."""
    day = Day(policy())
    day.go(minutes=9)
    day.restart()
    assert day.go() == 0
    day.restart(minutes=10)
    assert day.go() == 1
    assert day.hours == [NOON + timedelta(minutes=10), NOON + timedelta(minutes=20)]


def test_of_many_missed_hours_the_last_is_made_up_for() -> None:
    """Down for half an hour: once, not three times."""
    day = Day(policy())
    day.restart(minutes=35)
    assert day.go() == 1
    assert day.hours == [NOON + timedelta(minutes=30)]


def test_what_was_missed_long_ago_is_left() -> None:
    """A nightly job does not run at noon because the reconciler was down at night."""
    day = Day(policy("0 3 * * *"))
    day.restart(hours=20)
    assert day.go() == 0
    assert day.schedules.next_due() == datetime(2026, 11, 26, 3, tzinfo=UTC)


def test_hours_are_of_the_policys_time_zone() -> None:
    """3 o'clock in Berlin is 2 o'clock UTC in winter."""
    found = following(policy("0 3 * * *", "Europe/Berlin"), NOON)
    assert found == datetime(2026, 11, 25, 2, tzinfo=UTC)


@pytest.mark.parametrize("missing", ["2026-03-29T02:30", "2026-10-25T02:30"])
def test_a_change_of_the_clock_gives_one_hour_a_day(missing: str) -> None:
    """Neither none on the day that has no such hour, nor two on the day that has it twice."""
    day = datetime.fromisoformat(missing).replace(hour=0, minute=0, tzinfo=UTC) - timedelta(hours=3)
    one = policy("30 2 * * *", "Europe/Berlin")
    first = following(one, day)
    assert timedelta(hours=22) <= following(one, first) - first <= timedelta(hours=26)


def test_a_policy_that_comes_later_counts_from_then() -> None:
    """No hour of before is its own; one that goes is not told any more."""
    day = Day(policy())
    day.go(minutes=20)
    later = policy("*/5 * * * *", name="later")
    day.policies = (later,)
    assert day.go() == 0
    assert day.go(minutes=5) == 1
    assert all(fact.policy == "later" for fact in day.facts[-2:])


def test_a_policy_for_other_clusters_has_no_hours_here() -> None:
    """Its match names clusters."""
    day = Day(policy(cluster=["prod-*"]))
    assert (day.go(minutes=30), day.schedules.next_due()) == (0, None)


def test_the_row_stays_while_the_schedule_does() -> None:
    """Idle for days, the last hour is still known: nothing is told twice."""
    day = Day(policy("0 3 * * *"))
    for _ in range(15):
        day.go(days=1)
        out = Outcome()
        day.book.due(day.world(), out)
    assert [row.scheduled_at is not None for row in day.book.rows.values()] == [True]
    assert len(day.hours) == len(set(day.hours))


def test_an_hour_is_no_alert_of_anybody_else() -> None:
    """A policy on alerts of the same name does not answer it."""
    other = {"trigger": {"alert": "nightly"}, "mode": "enforce", "do": [{"notify": {"to": "#other"}}]}
    document = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "a"}, "spec": other}
    day = Day(policy(), Policy.model_validate(document))
    day.go(minutes=9)
    made = [fact for fact in day.facts if isinstance(fact, DecisionMade)]
    assert [one.policy for one in made] == ["nightly"]
