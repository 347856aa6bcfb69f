"""From troubles to alerts with a life: told once, over once, whatever comes between."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.alerts import AlertFired, AlertResolved
from schemas.events import Event
from schemas.target import Target
from services.kube.objects import ObjectKey
from services.watcher.trouble import crash_loop, job_failed
from services.watcher.trouble.found import Alert, Subject, Trouble
from services.watcher.trouble.kinds import WATCHED, Kind
from services.watcher.trouble.lives import SEEN_IN, Board, Placed, place
from tests.fakes import NOON

POD, JOB = Kind("", "Pod"), Kind("batch", "Job")
TARGET = Target(cluster="prod", group="apps", kind="Deployment", namespace="payments", name="api", uid="u-1")
ONE, OTHER = (POD, ObjectKey("", "Pod", "payments", "api-1")), (POD, ObjectKey("", "Pod", "payments", "api-2"))
CRASH = crash_loop.ALERT
SECOND = timedelta(seconds=1)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def placed(
    where: tuple[Kind, ObjectKey] = ONE, alert: Alert = CRASH, since: float = 0, target: Target = TARGET,
    until: datetime | None = None, **values: int,
) -> Placed:  # fmt: skip
    about = Subject(where[1], f"uid-of-{where[1].name}")
    return place(
        target, Trouble(alert, about, at(since), "it ends each time", {"app": "api"}, values, until), where[0].kind
    )


class Played:
    """A board, what it has said, and the moves that tests make."""

    def __init__(self, board: Board | None = None) -> None:
        self.board = board or Board("prod")
        self.events: list[Event[Any]] = []
        self.complete = True

    def put(self, where: tuple[Kind, ObjectKey], *placed: Placed, minutes: float = 0) -> None:
        """That object has these troubles, as seen at that time."""
        self.board.put(where, placed, at(minutes))

    def step(self, minutes: float) -> list[str]:
        """What is said at that time, in words."""
        due = self.board.due(at(minutes), lambda *_: self.complete)
        for event in due:
            self.board.said(event)
        self.events += due
        return ["fired" if isinstance(event.data, AlertFired) else "resolved" for event in due]

    def again(self) -> "Played":
        """Another watcher, which has read what this one said."""
        other = Played(Board("prod"))
        for event in self.events:
            other.board.restore(event.data, event.time)
        return other


@pytest.fixture
def played() -> Played:
    return Played()


def test_a_life_is_told_once_and_over_once(played: Played) -> None:
    """However often the object is seen meanwhile."""
    played.put(ONE, placed())
    assert [played.step(minutes) for minutes in (0, 0.5, 1, 1.5, 10)] == [[], [], ["fired"], [], []]
    played.put(ONE)
    assert [played.step(minutes) for minutes in (11, 14.9, 15, 16)] == [[], [], ["resolved"], []]
    first, last = (event.data for event in played.events)
    assert isinstance(first, AlertFired)
    assert isinstance(last, AlertResolved)
    assert (first.alert_id, first.target, first.onset) == (last.alert_id, last.target, last.onset)
    assert (first.source, first.lasting, first.onset, last.resolved_at) == ("kubernetes", True, NOON, at(15))
    assert first.labels == {"app": "api", "pod": "api-1", "namespace": "payments", SEEN_IN: "Pod"}


def test_it_must_be_away_for_its_time_since_it_was_seen_to_be(played: Played) -> None:
    """After a while in which nobody looked, what is well now may be so since a moment ago."""
    played.put(ONE, placed())
    played.step(1)
    played.put(ONE, minutes=30)
    assert [played.step(minutes) for minutes in (30, 34.9, 35)] == [[], [], ["resolved"]]


def test_what_is_over_before_its_time_was_never_told(played: Played) -> None:
    """A start-up that stumbles once is no alert, and leaves nothing behind."""
    played.put(ONE, placed())
    played.step(0.5)
    played.put(ONE)
    assert played.step(4) == played.step(10) == []
    assert played.board.lives == {}


def test_between_two_crashes_a_container_runs(played: Played) -> None:
    """Up for less than its time, down again: one life, also where the object tells a new beginning each time."""
    for crash in range(5):
        played.put(ONE, placed(since=crash * 4))
        played.step(crash * 4 + 1)
        played.put(ONE)
        played.step(crash * 4 + 3)
    assert [event.data.onset for event in played.events] == [NOON]


def test_pods_of_one_workload_are_one_life(played: Played) -> None:
    """Also where one that fared badly is replaced by one that fares no better."""
    played.put(ONE, placed())
    played.put(OTHER, placed(OTHER, since=1))
    played.step(2)
    played.put(ONE)
    played.step(20)
    assert [event.data.values["affected"] for event in played.events] == [2]
    played.put(OTHER)
    played.step(21)
    assert played.step(26) == ["resolved"]


def test_another_object_of_the_same_name_is_another_life(played: Played) -> None:
    """Deleted and made anew, and as bad: the first one's alert ends, the second one's begins."""
    played.put(ONE, placed())
    played.step(1)
    played.put(ONE, placed(since=2, target=TARGET.model_copy(update={"uid": "u-2"})))
    played.step(3)
    played.step(7)
    assert [event.data.target.uid for event in played.events] == ["u-1", "u-2", "u-1"]
    assert len({event.data.alert_id for event in played.events}) == 2


def test_a_second_watcher_says_the_same(played: Played) -> None:
    """Same objects, other moments: the same ids, so that consumers see one alert."""
    other = Played()
    for one, minutes in ((played, 1.0), (other, 3.0)):
        one.put(ONE, placed())
        one.step(minutes)
    assert [event.id for event in played.events] == [event.id for event in other.events]


def test_a_restart_says_nothing_twice(played: Played) -> None:
    """What is still wrong goes on, though the object tells another beginning by now."""
    played.put(ONE, placed())
    played.step(1)
    other = played.again()
    other.put(ONE, placed(since=6))
    assert other.step(8) == []
    other.put(ONE)
    assert other.step(13) == ["resolved"]
    assert other.events[0].data.alert_id == played.events[0].data.alert_id


def test_what_ended_while_nobody_looked_is_said_afterwards(played: Played) -> None:
    """Not before everything was listed, and then only after its time."""
    played.put(ONE, placed())
    played.step(1)
    other = played.again()
    other.complete = False
    assert other.step(60) == other.step(61) == []
    other.complete = True
    assert [other.step(minutes) for minutes in (62, 65.9, 66)] == [[], [], ["resolved"]]


def test_an_alert_of_a_kind_that_is_no_longer_known_ends(played: Played) -> None:
    """Another version's alerts do not stay open for ever."""
    played.put(ONE, placed(alert=Alert("KubeSomethingOld", CRASH.severity)))
    played.step(1)
    assert played.again().step(2) == ["resolved"]


def test_what_the_broker_did_not_take_is_due_again(played: Played) -> None:
    """Until it is said, with the same id."""
    played.put(ONE, placed())
    first, second = (played.board.due(at(minutes), lambda *_: True) for minutes in (1, 2))
    assert [event.id for event in first] == [event.id for event in second]


def test_a_life_after_the_end_is_another_one(played: Played) -> None:
    """Also where the object says the same of its beginning, as a certificate or a quota may."""
    for minutes in (0, 20):
        played.put(ONE, placed())
        played.step(minutes + 1)
        played.put(ONE)
        played.step(minutes + 6)
        played.step(minutes + 7)
    assert [isinstance(event.data, AlertFired) for event in played.events] == [True, False, True, False]
    assert len({event.data.alert_id for event in played.events}) == 2


def test_what_begins_and_ends_by_itself_does(played: Played) -> None:
    """A time that comes changes no object: nobody is told by a watch."""
    where = (JOB, ObjectKey("batch", "Job", "payments", "nightly"))
    played.put(where, placed(where, job_failed.ALERT, since=10, until=at(20)))
    assert [played.step(minutes) for minutes in (5, 10, 15, 20)] == [[], ["fired"], [], ["resolved"]]


def test_what_is_measured_is_told_anew_at_a_bounded_pace(played: Played) -> None:
    """As the same alert: a policy may wait for a number of restarts, of whichever pod has the most."""
    for minutes in range(30):
        played.put(ONE, placed(restarts=minutes), minutes=minutes)
        played.put(OTHER, placed(OTHER, restarts=2), minutes=minutes)
        played.step(minutes)
    assert [event.data.values["restarts"] for event in played.events] == [2, 6, 11, 16, 21, 26]
    assert len({event.id for event in played.events}) == 1


def test_a_long_life_is_told_again_before_the_topic_forgets_it(played: Played) -> None:
    """Once a day, as the same event: a restart after a week still knows that it is open."""
    played.put(ONE, placed())
    said = [played.step(minutes) for minutes in range(0, 3 * 24 * 60, 30)]
    assert sum(map(len, said)) == 3
    assert len({event.id for event in played.events}) == 1
    assert [event.data.onset for event in played.events] == [NOON] * 3


def test_every_alert_has_one_meaning() -> None:
    """One name is one severity and one patience, whichever kinds tell it."""
    alerts = {look.alert for looks in WATCHED.values() for look in looks}
    assert len({alert.name for alert in alerts}) == len(alerts)
