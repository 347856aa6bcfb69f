"""Lives of drifts and alerts on a generated platform: what became of each, and the events that tell it.

A life's fate is its number modulo 100, an index into a table here; so how many of what there are follows by counting,
without a look at the SQL.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.topics import TopicName
from tests.week_sql import (
    DAY,
    HOUR,
    MINUTE,
    MS,
    SECOND,
    TARGET,
    Raw,
    Stream,
    Text,
    Time,
    envelope,
    id_sql,
    object_columns,
    of,
    random,
)  # fmt: skip


class Fate(NamedTuple):
    """`share` of every hundred lives: the first decision, each attempt's outcome, how it ended ("" for not at all), and
    what people said."""

    share: int
    verdict: str
    reason: str
    outcomes: tuple[str, ...] = ()
    ended: str = "hand"
    asked: str = ""
    mode: str = "enforce"


DRIFT_FATES = (
    Fate(1, "observe", "observe-mode", ended="", mode="observe"),
    Fate(1, "deny", "protected-namespace", ended=""),
    Fate(6, "ask", "approval", ("succeeded",), "fixed", "approved"),
    Fate(2, "ask", "approval", asked="denied"),
    Fate(1, "ask", "approval", asked="expired"),
    Fate(1, "ask", "approval", ended="", asked="open"),
    Fate(10, "observe", "observe-mode", mode="observe"),
    Fate(3, "deny", "cooldown"),
    Fate(2, "deny", "blast-radius"),
    Fate(3, "act", "policy", ("ineffective", "succeeded"), "fixed"),
    Fate(2, "act", "policy", ("failed",)),
    Fate(1, "act", "policy", ("undone",)),
    Fate(2, "wait", "maintenance", ("succeeded",), "fixed"),
    Fate(55, "act", "policy", ("succeeded",), "fixed"),
    Fate(5, "act", "policy", ("succeeded",), "fixed"),  # five rounds of one fight: numbers 90 to 94 are one object's
    Fate(1, "deny", "fight"),
    Fate(4, "act", "policy", ("succeeded",), "fixed"),
)
ALERT_FATES = (
    Fate(25, "observe", "no-policy", mode="observe"),
    Fate(40, "act", "policy", ("succeeded",), "fixed"),
    Fate(5, "act", "policy", ("ineffective", "succeeded"), "fixed"),
    Fate(3, "act", "policy", ("failed",)),
    Fate(2, "act", "policy", ("undone",), ended=""),
    Fate(8, "ask", "approval", ("succeeded",), "fixed", "approved"),
    Fate(3, "ask", "approval", asked="denied"),
    Fate(2, "ask", "approval", asked="expired"),
    Fate(2, "ask", "approval", ended="", asked="open"),
    Fate(4, "wait", "too-young"),
    Fate(4, "deny", "cooldown"),
    Fate(2, "deny", "storm"),
)
ALERTS = (
    ("falco", "Terminal shell in container", "warning", "isolate-shells", "isolate"),
    ("alertmanager", "KubePodCrashLooping", "error", "restart-crashlooping", "restart"),
    ("grafana", "HighErrorRate", "critical", "scale-on-errors", "scale"),
    ("falco", "Read sensitive file untrusted", "critical", "evict-readers", "delete-pod"),
    ("alertmanager", "KubeDeploymentReplicasMismatch", "warning", "rollback-broken", "rollback"),
)
MANAGERS = ("kubectl-edit", "kubectl-client-side-apply", "kubectl-scale", "helm", "rollouts-controller")
PEOPLE = ("ana", "ben", "chris", "dana", "eli")
BASELINES = ("platform", "payments", "shop", "edge")
SUBJECT = Text("subject")
UNREADABLE_EVERY, UNREADABLE = 400, 55
REASONS = {"succeeded": "verified", "ineffective": "not-verified", "failed": "forbidden", "undone": "not-verified"}


def fate_of(fates: Sequence[Fate], number: int) -> Fate:
    """The fate of the `number`-th life."""
    return _hundred(fates)[number % 100]


def _hundred(fates: Sequence[Fate]) -> list[Fate]:
    return [fate for fate in fates for _ in range(fate.share)]


def _fate_columns(fates: Sequence[Fate]) -> str:
    every = _hundred(fates)
    columns = {
        "verdict": [fate.verdict for fate in every],
        "reason": [fate.reason for fate in every],
        "mode": [fate.mode for fate in every],
        "asked": [fate.asked for fate in every],
        "ended": [fate.ended for fate in every],
        "outcome_1": [fate.outcomes[0] if fate.outcomes else "" for fate in every],
        "outcome_2": [fate.outcomes[1] if len(fate.outcomes) > 1 else "" for fate in every],
    }
    return ", ".join(f"{of(values, 'fate')} AS {name}" for name, values in columns.items())


def onset(span: tuple[int, int], lives: str) -> str:
    """When the n-th of `lives` begins: spread over the span, more of them by day than by night."""
    since, until = span
    days = (until - since) / DAY
    part = f"((n + 0.5) / {lives})"
    wave = f"sin(2 * pi() * {days} * {part}) * {0.1 / days}"
    return f"toInt64({since} + {until - since} * greatest(0, least(1, {part} - {wave})))"


def lives(name: str, count: int, span: tuple[int, int], namespaces: int) -> str:
    """A subquery with one row a life. t0 begins, t1 is told, t2 decided, t3 may be acted on, s and f bound each
    attempt, t4 ends; never later than the span."""
    drift = name == "drift"
    fates, slow = (DRIFT_FATES, 1) if drift else (ALERT_FATES, 60)
    fight = "if(fate BETWEEN 90 AND 95, intDiv(n, 100) * 100 + 90, n)" if drift else "n"
    until = span[1]
    return f"""(
        SELECT number AS n, toUInt8(n % 100) AS fate, {_fate_columns(fates)},
            {object_columns(f"cityHash64({fight}, 'object')", namespaces)},
            {id_sql(name)} AS id, id AS correlation, toString(1000000 + n) AS version,
            {onset(span, str(count))} AS t0,
            least({until}, t0 + {20 * MS} + {random("told", 400 * MS)} + if(n % 50 = 7, {5 * SECOND}, 0)) AS t1,
            least({until}, t1 + {4 * MS} + {random("decided", 20 * MS)}) AS t2,
            least({until}, t2 + multiIf(asked IN ('approved', 'denied'), {MINUTE} + {random("answer", 20 * MINUTE)},
                asked != '', {30 * MINUTE}, reason = 'maintenance', {10 * MINUTE}, 0)) AS t3,
            least({until}, t3 + {3 * MS}) AS s1,
            least({until}, s1 + {slow * 30 * MS} + {random("act", slow * 170 * MS)}) AS f1,
            least({until}, f1 + {10 * SECOND}) AS s2,
            least({until}, s2 + {slow * 30 * MS} + {random("again", slow * 170 * MS)}) AS f2,
            least({until}, if(ended = 'fixed', if(outcome_2 = '', f1, f2) + {50 * MS} + {random("end", 250 * MS)},
                t3 + {5 * MINUTE} + {random("end", 6 * HOUR)})) AS t4
        FROM numbers({count})
    )"""


def drift_streams(count: int, span: tuple[int, int], namespaces: int) -> list[Stream]:
    """Everything that `count` drifts make: a fifth is reported twice, a tenth gets its user later."""
    rows = lives("drift", count, span, namespaces)
    manager, user = of(MANAGERS, "n % 5"), of(PEOPLE, "n % 5")
    field = {
        "path": "/spec/replicas", "kind": "changed", "desired": 3, "live": Raw("4 + n % 9"), "manager": Text(manager),
        "operation": "Update", "since": Time("t0"),
    }  # fmt: skip
    base = {"target": TARGET, "drift_id": Text("id"), "baseline": Text(of(BASELINES, "place % 4")), "onset": Time("t0")}
    engine = {"state": Text("if(n % 12 = 5, 'missing', if(n % 12 = 7, 'unwanted', 'changed'))"), "engine": "dry-run"}
    told = base | engine | {"resource_version": Text("version"), "fields": [field]}

    def told_event(update: int, at: str, id: str) -> dict[str, Any]:
        data = told | {"detected_at": Time(at), "update": update}
        return envelope("drift.detected", "setpoint/watcher", id, at, data)

    again = f"least({span[1]}, t1 + {SECOND})"
    cleared = base | {
        "cleared_at": Time("t4"), "reason": "in-sync", "resource_version": Text("version"),
        "manager": Text(f"if(ended = 'fixed', 'setpoint', {manager})"),
    }  # fmt: skip
    late = f"least({span[1]}, t1 + {20 * SECOND})"
    attributed = base | {
        "attributed_at": Time(late),
        "fields": [field | {"user": Text(f"concat({user}, '@example.org')")}],
    }
    return [
        Stream(TopicName.DRIFT, rows, "t1", told_event(0, "t1", "id")),
        Stream(TopicName.DRIFT, rows, again, told_event(1, again, "concat(id, '-1')"), "n % 5 = 0"),
        Stream(
            TopicName.DRIFT, rows, late,
            envelope("drift.attributed", "setpoint/watcher", "concat(id, '-who')", late, attributed), "n % 10 = 3",
        ),
        Stream(
            TopicName.DRIFT, rows, "t4",
            envelope("drift.cleared", "setpoint/watcher", "concat(id, '-cleared')", "t4", cleared), "ended != ''",
        ),
        *answer_streams(rows, "drift", Text("'heal-platform'"), Text("'revert'"), None),
    ]  # fmt: skip


def alert_streams(count: int, span: tuple[int, int], namespaces: int) -> list[Stream]:
    """Everything that `count` alerts make: the n-th is told n % 4 more times, and ends if it lasts and did end."""
    rows = lives("alert", count, span, namespaces)
    kind = "n % 5"
    pod = "concat(name, '-7d9f6c4b8-', substring(id, 1, 5))"
    target = TARGET | {"group": "", "kind": "Pod", "name": Text(pod)}
    subject = Text(f"concat(cluster, '/core/Pod/', namespace, '/', {pod})")
    source, alert = Text(of([one[0] for one in ALERTS], kind)), Text(of([one[1] for one in ALERTS], kind))
    base = {
        "alert_id": Text("id"), "target": target, "source": source, "sender": Text("cluster"), "name": alert,
        "onset": Time("t0"),
    }  # fmt: skip
    fired = base | {
        "severity": Text(of([one[2] for one in ALERTS], kind)),
        "lasting": Raw(f"if({source.sql} = 'falco', 'false', 'true')"),
        "labels": {"namespace": Text("namespace"), "pod": Text(pod), "team": Text(of(BASELINES, "place % 4"))},
        "values": {"restarts": Raw("n % 11")}, "summary": Text(f"concat({alert.sql}, ' in ', namespace)"), "url": "",
    }  # fmt: skip
    from_gateway = "setpoint/gateway"
    streams = [
        Stream(
            TopicName.ALERTS, rows, at,
            envelope("alert.fired", from_gateway, f"concat(id, '-{turn}')", at, fired | {"fired_at": Time(at)},
                     subject=subject), f"n % 4 >= {turn}",
        )
        for turn in range(4)
        for at in [f"least({span[1]}, t1 + {turn * 4 * MINUTE})"]
    ]  # fmt: skip
    streams += unreadable_streams(rows, span, fired, subject)
    over = envelope("alert.resolved", from_gateway, "concat(id, '-over')", "t4", base | {"resolved_at": Time("t4")},
                    subject=subject)  # fmt: skip
    streams.append(Stream(TopicName.ALERTS, rows, "t4", over, f"{source.sql} != 'falco' AND ended != ''"))
    policy, action = (Text(of([one[at] for one in ALERTS], kind)) for at in (3, 4))
    owner = TARGET | {"group": "apps", "kind": "Deployment"}
    streams += [
        Stream(TopicName.ACTIONS, rows, "s1", _evidence(target, subject), "outcome_1 != '' AND n % 5 = 0"),
        Stream(TopicName.ACTIONS, rows, "f1", _told(target, subject, policy), "outcome_1 IN ('failed', 'undone')"),
    ]
    return streams + answer_streams(rows, "alert", policy, action, owner, target, subject)


def unreadable_streams(rows: str, span: tuple[int, int], fired: dict[str, Any], subject: Text) -> list[Stream]:
    """One repeat of some alerts could not be read; half of those were sent back an hour later, and told then."""
    told, back = (f"least({span[1]}, t1 + {time})" for time in (16 * MINUTE, 16 * MINUTE + HOUR))
    place, buried = "if(cluster = 'prod-us', '1', '0')", "'setpoint-dead-letter:0:@letter'"
    data = {
        "topic": TopicName.ALERTS, "partition": Raw(place), "offset": Raw("'@offset'"), "message": "not JSON",
        "bytes": Raw("700 + n % 97"),
    }  # fmt: skip
    came_from = Text(f"concat('{TopicName.ALERTS}:', {place}, ':@offset')")
    letter = envelope("record.unreadable", "setpoint/recorder", buried, told, data, subject=came_from,
                      correlationid=Text(buried))  # fmt: skip
    again = envelope("alert.fired", "setpoint/gateway", "concat(id, '-back')", told, fired | {"fired_at": Time(told)},
                     subject=subject)  # fmt: skip
    return [
        Stream(TopicName.ALERTS, rows, told, letter, f"n % {UNREADABLE_EVERY} = {UNREADABLE}", buried=True),
        Stream(TopicName.ALERTS, rows, back, again, f"n % {2 * UNREADABLE_EVERY} = {UNREADABLE}"),
    ]


def _evidence(target: dict[str, Any], subject: Text) -> dict[str, Any]:
    action = id_sql("alert-action")
    data = {
        "action_id": Text(action), "target": target, "what": "log", "name": "app", "part": 0, "parts": 1,
        "text": "GET /health 200", "taken_at": Time("s1"),
    }  # fmt: skip
    return envelope("evidence.kept", "setpoint/reconciler", f"concat({action}, '-e')", "s1", data, subject=subject)


def _told(target: dict[str, Any], subject: Text, policy: Text) -> dict[str, Any]:
    action = id_sql("alert-action")
    data = {
        "action_id": Text(action), "target": target, "policy": policy, "to": "#platform-alerts",
        "message": "it did not help", "at": Time("f1"),
    }  # fmt: skip
    return envelope("people.told", "setpoint/reconciler", f"concat({action}, '-t')", "f1", data, subject=subject)


def answer_streams(
    rows: str, name: str, policy: Text, action: Text, owner: dict[str, Any] | None,
    target: dict[str, Any] = TARGET, subject: Text = SUBJECT,
) -> list[Stream]:  # fmt: skip
    """Decisions, questions and actions about lives; `owner` is what is acted on, where that is not the target."""
    first, second, question = id_sql(f"{name}-decision"), id_sql(f"{name}-decision-2"), id_sql(f"{name}-approval")
    acts = [id_sql(f"{name}-action"), id_sql(f"{name}-action-2")]
    about = {"target": target, f"{name}_id": Text("id")}
    trigger = {"type": f"dev.setpoint.{name}.{'detected' if name == 'drift' else 'fired'}.v1", "id": Text("id")}

    def event(type: str, id: str, at: str, data: dict[str, Any], source: str = "reconciler") -> dict[str, Any]:
        return envelope(type, f"setpoint/{source}", id, at, data, subject=subject, causationid=Text("id"))

    def decided(id: str, at: str, **data: Any) -> dict[str, Any]:
        data = {"decision_id": Text(id), **about, "trigger": trigger, "policy": policy, "mode": Text("mode"), **data}
        return event("decision.made", id, at, data | {"action": action, "subject": owner, "message": ""})

    def acted(attempt: int, end: bool) -> dict[str, Any]:
        begun, over, outcome = f"s{attempt}", f"f{attempt}", f"outcome_{attempt}"
        data = {
            "action_id": Text(acts[attempt - 1]), **about, "subject": owner, "action": action, "policy": policy,
            "attempt": attempt, "step": 0,
        }  # fmt: skip
        if not end:
            return event("action.started", f"concat({acts[attempt - 1]}, '-s')", begun,
                         data | {"decision_id": Text(first)})  # fmt: skip
        why = " ".join(f"WHEN '{word}' THEN '{reason}'" for word, reason in REASONS.items())
        spent = {
            "plan_ms": Raw("5 + n % 9"), "apply_ms": Raw("8 + n % 17"),
            "verify_ms": Raw(f"intDiv({over} - {begun}, 1000)"), "resumed": Raw("if(n % 97 = 0, 'true', 'false')"),
        }  # fmt: skip
        return event("action.finished", f"concat({acts[attempt - 1]}, '-f')", over, data | spent | {
            "outcome": Text(outcome), "reason": Text(f"CASE {outcome} {why} ELSE 'timeout' END"), "message": "",
            "started_at": Time(begun), "finished_at": Time(over),
        })  # fmt: skip

    person = Text(of(PEOPLE, "n % 5"))
    asked = {
        "approval_id": Text(question), **about, "decision_id": Text(first), "policy": policy, "action": action,
        "why": "it is not as declared", "plan": "/spec/replicas: 5 → 3", "plan_hash": Text(question),
        "by": ["group:sre-oncall"], "count": 1, "where": "#prod-approvals", "asked_at": Time("t2"),
        "ends_at": Time(f"t2 + {30 * MINUTE}"), "requester": None,
    }  # fmt: skip
    answered = {
        "approval_id": Text(question), "cluster": Text("cluster"), "by": person, "via": "cli", "at": Time("t3"),
        "answer": Text("if(asked = 'denied', 'deny', 'approve')"), "note": "",
    }  # fmt: skip
    closed = {
        "approval_id": Text(question), "target": target, "outcome": Text("asked"), "at": Time("t3"), "note": "",
        "by": Raw(f"if(asked = 'expired', '[]', concat('[\"', {person.sql}, '\"]'))"),
    }  # fmt: skip
    refused = {
        "approval_id": Text(question), "target": target, "by": "mallory", "via": "http", "at": Time("t2"),
        "why": "not-an-approver",
    }  # fmt: skip
    again = decided(second, "t3", verdict="act", reason=Text("if(asked = 'approved', 'approved', 'policy')"),
                    evaluation=1)  # fmt: skip
    once = decided(first, "t2", verdict=Text("verdict"), reason=Text("reason"), evaluation=0)
    approvals, actions = TopicName.APPROVALS, TopicName.ACTIONS
    return [
        Stream(TopicName.DECISIONS, rows, "t2", once),
        Stream(TopicName.DECISIONS, rows, "t3", again, "verdict != 'act' AND outcome_1 != ''"),
        Stream(approvals, rows, "t2", event("approval.requested", question, "t2", asked), "asked != ''"),
        Stream(approvals, rows, "t2", event("approval.refused", f"concat({question}, '-no')", "t2", refused),
               "asked != '' AND n % 7 = 0"),
        Stream(approvals, rows, "t3", event("approval.answered", f"concat({question}, '-a')", "t3", answered, "cli"),
               "asked IN ('approved', 'denied')"),
        Stream(approvals, rows, "t3", event("approval.closed", f"concat({question}, '-c')", "t3", closed),
               "asked NOT IN ('', 'open')"),
        *(
            Stream(actions, rows, f"{'f' if end else 's'}{attempt}", acted(attempt, end), f"outcome_{attempt} != ''")
            for attempt in (1, 2)
            for end in (False, True)
        ),
    ]  # fmt: skip
