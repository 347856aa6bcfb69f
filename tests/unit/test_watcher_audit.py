"""Which user was behind a difference: the one whose write fits, and nobody where two do."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import AuditObserved, DriftDetected, DriftState, FieldChange, FindingReason
from schemas.target import Target
from services.kube.objects import ObjectKey
from services.kube.writers.ownership import Owner
from services.watcher.audit import NOTHING, Audit, Ended, Hearsay, Window, deletion, learned, named, news
from tests.fakes import NOON

KEY = ObjectKey("apps", "Deployment", "pay", "api")
COLLECTION = KEY._replace(name="")
LOOK = Window(NOON - timedelta(minutes=1), NOON)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def heard(user: str = "alice", second: float = -0.2, **more: Any) -> AuditObserved:
    """A write that ended at `second` from noon and took 10 ms."""
    given: dict[str, Any] = {
        "cluster": "c", "group": "apps", "resource": "deployments", "namespace": "pay", "name": "api", "verb": "patch",
        "user": user, "manager": "kubectl-edit", "received": at(second - 0.01), "time": at(second), **more,
    }  # fmt: skip
    return AuditObserved(**given)


def proven(since: float = -1.0, manager: str | None = "kubectl-edit", **more: Any) -> FieldChange:
    """A difference that managedFields dates to a whole second."""
    return FieldChange(
        path="/spec/x", kind="changed", desired=1, live=2, manager=manager, operation="Update", since=at(since), **more
    )


UNPROVEN = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=0)
REMOVED = FieldChange(path="/spec/y", kind="removed", desired=1)


def drift(*fields: FieldChange, state: DriftState = DriftState.CHANGED, **more: Any) -> DriftDetected:
    target = Target(cluster="c", group="apps", kind="Deployment", namespace="pay", name="api")
    return DriftDetected(
        target=target, drift_id="d", baseline="b", state=state, engine="local", onset=NOON, detected_at=NOON,
        resource_version="1", fields=fields, **more,
    )  # fmt: skip


def user(change: FieldChange, *entries: AuditObserved, window: Window | None = LOOK) -> str | None:
    return named([change], Hearsay(entries, window), None, NOON)[0].user


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([heard()], "alice", id="one"),
        pytest.param([], None, id="none"),
        pytest.param([heard(), heard(second=-0.5)], "alice", id="twice-the-same"),
        pytest.param([heard(), heard("bob", -0.5)], None, id="two-users"),
        pytest.param([heard(), heard("bob", -0.5, manager="helm")], "alice", id="another-tool"),
        pytest.param([heard(manager="helm")], None, id="only-another-tool"),
        pytest.param([heard(second=-1.5)], None, id="ended-before"),
        pytest.param([heard(second=0.5)], None, id="began-after"),
        pytest.param([heard(second=5, received=at(-0.5))], "alice", id="a-slow-one"),
        pytest.param([heard(verb="delete")], None, id="a-delete-writes-no-field"),
        pytest.param([heard(user="proxy", acting_as="alice")], "alice (through proxy)", id="impersonated"),
    ],
)
def test_a_proven_tool_and_second_find_their_user(entries: list[AuditObserved], expected: str | None) -> None:
    """managedFields' second lies between a request's beginning and its end, by one clock."""
    assert user(proven(), *entries) == expected


@pytest.mark.parametrize("change", [UNPROVEN, REMOVED], ids=["scaled-to-zero", "removed"])
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([heard()], "alice", id="one"),
        pytest.param([heard(second=-30)], "alice", id="long-before-it-was-seen"),
        pytest.param([heard(), heard("bob", -30)], None, id="two-users"),
        pytest.param([heard(), heard("bob", -90)], "alice", id="one-before-the-last-look"),
        pytest.param([heard(), heard("sp", manager="setpoint")], "alice", id="and-our-own-correction"),
        pytest.param([heard(second=1)], "alice", id="a-clock-that-is-behind"),
        pytest.param([heard(second=3)], None, id="after-it-was-seen"),
    ],
)
def test_what_nobody_is_proven_for_is_the_only_writers(
    change: FieldChange, entries: list[AuditObserved], expected: str | None
) -> None:
    """Between two looks at an object; then audit gives the tool and the time as well."""
    (found,) = named([change], Hearsay(tuple(entries), LOOK), None, NOON)
    assert found.user == expected
    assert (found.manager, bool(found.since)) == (("kubectl-edit", True) if expected else (None, False))


def test_without_a_look_before_nothing_is_said() -> None:
    """After a start nobody knows when it happened."""
    assert user(UNPROVEN, heard(), window=None) is None


def test_a_user_stays_when_audit_has_forgotten() -> None:
    """A later look at the same difference proves nothing else."""
    (known,) = named([UNPROVEN], Hearsay((heard(),), LOOK), None, NOON)
    assert named([UNPROVEN], NOTHING, drift(known), at(9)) == (known,)
    (known,) = named([proven()], Hearsay((heard(),), LOOK), None, NOON)
    assert named([proven()], NOTHING, drift(known), at(9)) == (known,)


def test_a_later_write_is_not_the_removal() -> None:
    """Who writes after a field was gone has not removed it, neither by managedFields nor by audit."""
    later = REMOVED.model_copy(update={"manager": "helm", "operation": "Update", "since": at(10)})
    known = REMOVED.model_copy(update={"manager": "kubectl-edit", "operation": "Update", "since": at(-1)})
    assert named([later], NOTHING, drift(known), at(9)) == (known,)
    later_look = Hearsay((heard("bob", 20),), Window(NOON, at(20)))
    assert named([REMOVED], later_look, drift(REMOVED), at(20)) == (REMOVED,)


def test_a_difference_that_is_written_anew_is_somebody_elses() -> None:
    """The user belongs to one write, not to the field."""
    known = proven(user="alice")
    again = proven(since=5, manager="helm")
    assert named([again], Hearsay((heard("bob", 5.5, manager="helm"),)), drift(known), at(9))[0].user == "bob"
    assert named([again], NOTHING, drift(known), at(9))[0].user is None


def test_late_audit_still_finds_the_window_in_which_it_was_noticed() -> None:
    """Batches come up to half a minute late, and others may have written since."""
    audit = Audit()
    first = drift(UNPROVEN)
    audit.noticed(KEY, None, first, LOOK, 0)
    other = FieldChange(path="/metadata/labels/a", kind="added", live="b")
    second = drift(UNPROVEN, other, update=1)
    audit.noticed(KEY, first, second, Window(at(10), at(20)), 0)
    audit.add(KEY, heard("bob", 19), 0)
    audit.add(KEY, heard("alice", -0.2), 0)
    users = {change.path: change.user for change in named(second.fields, audit.of(KEY, None), second, at(30))}
    assert users == {"/spec/replicas": "alice", "/metadata/labels/a": "bob"}


def test_windows_are_forgotten_with_their_drift() -> None:
    """And never kept for what managedFields proves."""
    audit = Audit()
    audit.noticed(KEY, None, drift(UNPROVEN, proven()), LOOK, 0)
    assert list(audit.of(KEY, None).windows) == [("/spec/replicas", "changed")]
    audit.noticed(KEY, drift(UNPROVEN), None, LOOK, 0)
    assert not audit.windows


@pytest.mark.parametrize("change", [UNPROVEN, proven()], ids=["unproven", "proven"])
def test_a_user_is_taken_back_where_another_turns_out_to_fit(change: FieldChange) -> None:
    """Two API servers send their audit each in its own time; whose comes first proves nothing."""
    audit = Audit()
    audit.add(KEY, heard("bob"), 0)
    first = drift(*named([change], audit.of(KEY, LOOK), None, NOON))
    assert first.fields[0].user == "bob"
    audit.noticed(KEY, None, first, LOOK, 0)
    audit.add(KEY, heard("alice", -0.4), 20)
    assert news(first, audit.of(KEY, None), at(20))
    second = drift(*named([change], audit.of(KEY, Window(NOON, at(20))), first, at(20)))
    assert second.fields == (change,)
    audit.noticed(KEY, first, second, Window(NOON, at(20)), 0)
    audit.forget_old(310)  # bob's is forgotten, alice's is not
    assert named([change], audit.of(KEY, None), second, at(310)) == (change,)


JUMPED = REMOVED.model_copy(update={"manager": "helm", "operation": "Update", "since": at(-1)})


@pytest.mark.parametrize(
    ("entries", "manager", "by"),
    [
        pytest.param([heard("ci", manager="helm")], "helm", "ci", id="who-moved-and-nobody-else"),
        pytest.param([], "helm", None, id="no-audit"),
        pytest.param([heard("ci", manager="helm"), heard()], None, None, id="another-wrote-too"),
        pytest.param([heard()], None, None, id="the-other-alone-is-heard-of-yet"),
        pytest.param([heard("ci", manager="helm"), heard("ci")], "helm", "ci", id="one-user-with-two-tools"),
    ],
)
def test_who_moved_is_taken_for_the_remover_unless_audit_speaks_against_it(
    entries: list[AuditObserved], manager: str | None, by: str | None
) -> None:
    """Two writes may be seen as one, and the one without a trace may be the removal."""
    (found,) = named([JUMPED], Hearsay(tuple(entries), LOOK), None, NOON)
    assert (found.manager, found.user) == (manager, by)


def test_a_write_that_an_earlier_look_has_seen_is_none_of_a_later_one() -> None:
    """A deployer applied a moment before; its entry stood there already, so the clocks' slack does not matter."""
    applied = heard("ci", -1.5, manager="deployer")
    rested = (Owner("deployer", "Apply", "", at(-2)),)
    assert user(REMOVED, applied, heard(), window=Window(at(-1), NOON)) is None
    assert user(REMOVED, applied, heard(), window=Window(at(-1), NOON, rested)) == "alice"
    twice = heard("ci", -1.2, manager="deployer")
    assert user(REMOVED, applied, twice, heard(), window=Window(at(-1), NOON, rested)) is None


def test_an_old_difference_gets_no_window_of_a_later_look() -> None:
    """After a restart its own window is not known, and a later one would name the wrong user."""
    audit = Audit()
    audit.noticed(KEY, drift(UNPROVEN), drift(UNPROVEN, update=1), Window(NOON, at(20)), 0)
    assert not audit.windows


def gone(*entries: AuditObserved, before: DriftDetected | None = None) -> list[tuple[str, str | None]]:
    found = deletion(DriftState.MISSING, None, None, Hearsay(entries), before, NOON)
    return [(change.path, change.user) for change in found]


def test_a_delete_names_who_removed_the_whole_object() -> None:
    """As one difference at the pointer of the whole, with the time of the request."""
    (found,) = deletion(DriftState.MISSING, None, None, Hearsay((heard(verb="delete", manager="kubectl"),)), None, NOON)
    assert (found.path, found.kind, found.user, found.manager) == ("", "removed", "alice", "kubectl")
    assert found.since == at(-0.2)


@pytest.mark.parametrize(
    ("entries", "users"),
    [
        pytest.param([heard(verb="deletecollection", name="")], ["alice"], id="the-whole-collection"),
        pytest.param([heard(second=-60, verb="delete")], [], id="an-earlier-life"),
        pytest.param([heard(verb="delete"), heard("bob", verb="delete")], [], id="two-users"),
        pytest.param([heard()], [], id="a-write"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_only_a_delete_of_that_moment_counts(entries: list[AuditObserved], users: list[str]) -> None:
    """Otherwise the object's deletion an hour ago would be taken for this one."""
    assert [name for _, name in gone(*entries)] == users


def test_a_delete_that_is_heard_late_counts_from_when_it_was_noticed() -> None:
    """The drift is open already, and its own time says when."""
    before = drift(state=DriftState.MISSING)
    late = Hearsay((heard(verb="delete"),))
    assert news(before, late, NOON)
    (found,) = deletion(DriftState.MISSING, None, None, late, before, at(25))
    assert found.user == "alice"
    named_drift = drift(found, state=DriftState.MISSING)
    assert not news(named_drift, late, NOON)
    assert deletion(DriftState.MISSING, None, None, NOTHING, named_drift, at(400)) == (found,)


def test_a_delete_counts_from_the_last_look_at_which_the_object_was_there() -> None:
    """A watcher that is busy misses the object long after the request; the audit may come later still."""
    hearsay = Hearsay((heard(second=-30, verb="delete"),), LOOK)
    (found,) = deletion(DriftState.MISSING, None, None, hearsay, None, NOON)
    assert (found.user, found.since) == ("alice", at(-30))


@pytest.mark.parametrize(
    ("before", "second", "users"),
    [
        pytest.param(None, -30, ["alice"], id="since-the-last-look"),
        pytest.param(None, -70, [], id="before-it"),
        pytest.param(drift(UNPROVEN), -30, ["alice"], id="it-had-drifted-before"),
        pytest.param(drift(state=DriftState.MISSING), -30, [], id="it-was-gone-before-a-restart"),
    ],
)
def test_the_window_of_a_deletion_stays_known(before: DriftDetected | None, second: float, users: list[str]) -> None:
    """While it is open, however often it is looked at, and when it is over."""
    audit, missing = Audit(), drift(state=DriftState.MISSING)
    audit.noticed(KEY, before, missing, LOOK, 0)
    audit.noticed(KEY, missing, missing, Window(NOON, at(20)), 20)
    audit.add(KEY, heard(second=second, verb="delete"), 20)
    late = audit.of(KEY, None)
    assert [one.user for one in deletion(DriftState.MISSING, None, None, late, missing, at(20))] == users
    audit.noticed(KEY, missing, None, Window(NOON, at(25)), 25)
    assert [one.user for one in learned(audit.ended[KEY], late, at(25))] == users


@pytest.mark.parametrize(
    ("seconds", "grace", "users"),
    [
        pytest.param(-1, 0, ["alice"], id="at-once"),
        pytest.param(29, 30, ["alice"], id="with-a-grace-period"),
        pytest.param(-9, 0, [], id="another-time"),
    ],
)
def test_a_deletion_under_way_is_dated_by_the_object(seconds: int, grace: int, users: list[str]) -> None:
    """deletionTimestamp is when it will be over at the latest: the request's time and the grace period."""
    stamp = at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
    live = {"metadata": {"deletionTimestamp": stamp, "deletionGracePeriodSeconds": grace}}
    hearsay = Hearsay((heard(verb="delete"), heard("gc", 200, verb="delete")))
    found = deletion(DriftState.UNJUDGED, FindingReason.TERMINATING, live, hearsay, None, at(60))
    assert [change.user for change in found] == users


def test_late_audit_is_news_only_where_it_names_somebody() -> None:
    """Each piece of news costs a look at the object."""
    assert news(drift(proven()), Hearsay((heard(),)), NOON)
    assert not news(drift(proven()), Hearsay((heard(manager="helm"),)), NOON)
    assert not news(drift(proven(user="alice")), Hearsay((heard(),)), NOON)


def test_a_drift_that_is_over_is_remembered_while_its_audit_may_come() -> None:
    """With the windows in which its differences were noticed; without any audit nothing is kept."""
    audit = Audit()
    audit.noticed(KEY, drift(UNPROVEN), None, LOOK, 0)
    assert not audit.ended
    audit.add(KEY, heard(second=-100), 0)
    audit.noticed(KEY, None, drift(UNPROVEN, proven()), LOOK, 1)
    audit.noticed(KEY, drift(UNPROVEN, proven()), None, LOOK, 2)
    ended = audit.ended[KEY]
    assert learned(ended, audit.of(KEY, None), at(3)) == ended.drift.fields
    audit.add(KEY, heard(), 20)
    assert [change.user for change in learned(ended, audit.of(KEY, None), at(20))] == ["alice", "alice"]
    audit.forget_old(303)
    assert not audit.ended


def test_the_deletion_of_an_object_that_was_made_again_is_learned() -> None:
    """Its drift had no difference to put a name to."""
    ended = Ended(drift(state=DriftState.MISSING), {}, 0)
    (found,) = learned(ended, Hearsay((heard(verb="delete"), heard("sp", 1, manager="setpoint"))), at(20))
    assert (found.path, found.user) == ("", "alice")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 700)), max_size=60))
def test_memory_is_bounded_in_number_and_time(entries: list[tuple[str, float]]) -> None:
    """Whatever an API server sends."""
    audit, now = Audit(most=10, kept_s=300), 0.0
    for name, moment in sorted(entries, key=lambda pair: pair[1]):
        now = moment
        audit.add(KEY._replace(name=name), heard(second=moment), now)
        kept = [entry for found in audit.heard.values() for entry in found]
        assert len(kept) == len(audit.order) <= 10
        assert all(now - (entry.time - NOON).total_seconds() <= 300 for entry in kept)
        assert all(audit.heard.values())


def test_a_collections_entries_are_heard_for_each_of_its_objects() -> None:
    """`kubectl delete --all` names no object."""
    audit = Audit()
    audit.add(COLLECTION, heard(verb="deletecollection", name=""), 0)
    assert [entry.verb for entry in audit.of(KEY, None).heard] == ["deletecollection"]
    assert not audit.of(KEY._replace(namespace="other"), None).heard
