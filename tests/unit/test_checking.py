"""What cannot work is told when it is read: expressions, schedules, people, ways back, and what is waited for."""

from typing import Any

import pytest

from schemas.policy import Policy
from schemas.window import MaintenanceWindow
from services.reconciler.policies.checking import wrongs
from services.runtime.rules import Written

API = "setpoint.dev/v1alpha1"
PEOPLE = Written(groups={"oncall": frozenset({"ana", "ben"})})


def policy(do: Any = None, **spec: Any) -> Policy:
    spec = {"trigger": {"alert": "Bad"}, "do": do or [{"restart": {}}], **spec}
    return Policy.model_validate({"apiVersion": API, "kind": "Policy", "metadata": {"name": "p"}, "spec": spec})


def hourly(do: Any = None, schedule: str = "0 3 * * *", zone: str = "UTC", **spec: Any) -> Policy:
    steps = do or [{"notify": {"to": "#x"}}]
    return policy(steps, trigger={"schedule": schedule, "timeZone": zone}, **spec)


def told(document: Policy | MaintenanceWindow, written: Written = PEOPLE) -> list[tuple[str, str, str]]:
    return [(".".join(map(str, one.path)), one.message, one.fix) for one in wrongs(document, written)]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(policy(), id="least"),
        pytest.param(policy(when="event.values.restarts > 5"), id="condition"),
        pytest.param(hourly([{"restart": {"workload": "Deployment/a/b"}}], zone="Europe/Berlin"), id="schedule"),
        pytest.param(hourly([{"notify": {"to": "#x", "message": "${event.name}"}}]), id="what an hour has"),
        pytest.param(policy(approve={"if": 'event.env == "prod"', "by": ["cem", "group:oncall"]}), id="ask"),
        pytest.param(policy([{"scale": {"by": "${event.severity}"}, "undo": "auto"}]), id="template and undo"),
        pytest.param(
            policy([{"restart": {}, "verify": {"until": ["rolloutComplete", "alertResolved"]}}]), id="verified"
        ),
        pytest.param(policy([{"label": {"set": {"a": "b"}}, "verify": {"until": ["available"]}}]), id="any object"),
        pytest.param(policy([{"deletePod": {}, "verify": {"until": ["gone"]}}]), id="gone"),
    ],
)  # fmt: skip
def test_what_can_work_is_let_through(document: Policy) -> None:
    """No policy that means something is held back."""
    assert told(document) == []


@pytest.mark.parametrize(
    ("document", "field", "message", "fix"),
    [
        pytest.param(policy(when="event.values.restarts >"), "spec.when", "no expression", "", id="no CEL"),
        pytest.param(policy(when="evnt.name == 'x'"), "spec.when", "unknown name 'evnt'", "", id="unknown root"),
        pytest.param(policy(approve={"if": "1 +"}), "spec.approve.if", "no expression", "", id="approve.if"),
        pytest.param(policy(approve={"by": ["group:onkall"]}), "spec.approve.by.0", "unknown group 'onkall'",
                     "did you mean oncall?", id="unknown group"),
        pytest.param(policy(approve={"by": ["group:oncall"], "count": 3}), "spec.approve.count",
                     "3 must say yes, and only 2 may", "name more people in 'by', or lower it", id="too few people"),
        pytest.param(hourly(schedule="0 3 * *"), "spec.trigger.schedule", "a schedule has five fields",
                     "write five fields such as '0 3 * * 1'", id="four fields"),
        pytest.param(hourly(schedule="0 25 * * *"), "spec.trigger.schedule", "Bad hour", "write five",
                     id="no such hour"),
        pytest.param(hourly(zone="Berlin"), "spec.trigger.timeZone",
                     "no time zone 'Berlin'", "write one such as Europe/Berlin", id="no such zone"),
        pytest.param(hourly([{"restart": {}}]), "spec.do.0.restart",
                     "a schedule is about no object: workload: 'event.workload' failed: a key is missing",
                     "name the object", id="no object in an hour"),
        pytest.param(hourly(match={"namespace": ["pay"], "cluster": ["c1"]}),
                     "spec.match.namespace", "a schedule is about no object", "name the object in each step",
                     id="a bound that is none"),
        pytest.param(policy([{"restart": {"workload": "${event.}"}}]), "spec.do.0.restart", "no expression", "",
                     id="template"),
        pytest.param(policy([{"webhook": {"url": "https://x", "body": {"a": [{"b": "${nope}"}]}}}]),
                     "spec.do.0.webhook", "unknown name 'nope'", "", id="deep template"),
        pytest.param(policy([{"restart": {}, "undo": "auto"}]), "spec.do.0.undo", "restart cannot be undone",
                     "leave it out, or write never", id="no way back"),
        pytest.param(policy(**{"else": [{"deletePod": {}, "undo": "auto"}]}), "spec.else.0.undo",
                     "deletePod cannot be undone", "leave it out", id="no way back in else"),
        pytest.param(policy([{"notify": {"to": "#x"}, "verify": {"until": ["gone"]}}]), "spec.do.0.verify.until.0",
                     "notify is never seen gone: it acts on no object of the cluster", "leave it out", id="no object"),
        pytest.param(policy([{"cordon": {}, "verify": {"until": ["rolloutComplete"]}}]), "spec.do.0.verify.until.0",
                     "cordon is never seen rolloutComplete: a node has no replicas", "leave it out", id="no replicas"),
        pytest.param(policy([{"label": {"object": "Node/a", "set": {"a": "b"}}, "verify": {"until": ["available"]}}]),
                     "spec.do.0.verify.until.0", "label is never seen available: a Node has no replicas", "leave",
                     id="no workload"),
        pytest.param(policy([{"restart": {"workload": "Deployment/a/b"}, "verify": {"until": ["alertResolved"]}}],
                            trigger={"schedule": "0 3 * * *"}), "spec.do.0.verify.until.0",
                     "restart is never seen alertResolved: a schedule has no alert that could resolve", "leave it out",
                     id="no alert"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_at_its_field(document: Policy, field: str, message: str, fix: str) -> None:
    """With what is wrong and what would be right, before it is ever needed."""
    ((where, words, advice),) = told(document)
    assert (where, words[: len(message)], advice[: len(fix)]) == (field, message, fix)


def test_a_group_is_asked_for_where_there_is_none() -> None:
    """The advice fits the files as they are."""
    assert told(policy(approve={"by": ["group:oncall"]}), Written())[0][2] == "write a Group document"


def window(**spec: Any) -> MaintenanceWindow:
    given = {"apiVersion": API, "kind": "MaintenanceWindow", "metadata": {"name": "w"}, "spec": spec}
    return MaintenanceWindow.model_validate(given)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        pytest.param(window(schedule="0 22 * * *", duration="8h"), [], id="right"),
        pytest.param(window(schedule="0 22 * *", duration="8h"), ["spec.schedule"], id="four fields"),
        pytest.param(window(calendar="w.ics"), [], id="unread calendar"),
    ],
)
def test_a_window_that_never_opens_right_is_told(document: MaintenanceWindow, found: list[str]) -> None:
    """A calendar that could not be read is told by who read it, and not twice."""
    assert [field for field, _, _ in told(document)] == found
