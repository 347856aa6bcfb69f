"""Decisions a second of one reconciler, on recorded alerts and with 200 policies: its state machine, in one thread.

From the records' bytes to the facts: read, matched, the target's answer taken in, filled, every guard asked. What is
not in it: the broker's transactions and the cluster, which run beside and are measured by the other benchmarks.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.figures import Figure, figure
from schemas.alerts import AlertFired, Severity
from schemas.events import DecisionMade, Event, make_event, parse_event, stable_id
from schemas.ledger import Place
from schemas.policy import Policy
from schemas.target import Target
from services.local.prepare import Parts
from services.reconciler.book import Book, Outcome
from services.reconciler.choosing import PolicyIndex
from services.reconciler.guards import Bounds
from services.reconciler.inputs import Fired, Found, World

NAMES = ("decisions_per_s",)
ALERTS, POLICIES, BATCH = 20_000, 200, 500
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLUSTER = "bench"


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figure, and where the time goes as text."""
    recorded = [event_of(number).model_dump_json().encode() for number in range(ALERTS)]
    world = world_of([policy(number) for number in range(POLICIES)])
    began = time.perf_counter()
    events = [parse_event(value) for value in recorded]
    read = time.perf_counter() - began
    verdicts, stepped = decide([event for event in events if event], world)
    total = read + stepped
    made = sum(verdicts.values())
    words = (
        f"{made} decisions ({', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))}) on "
        f"{ALERTS} alerts: {read / ALERTS * 1e6:.0f} µs an alert to read it, {stepped / ALERTS * 1e6:.0f} µs to decide "
        f"it; the state machine alone {made / stepped:.0f}/s"
    )
    return [figure("decisions_per_s", made / total, made)], words


def decide(events: list[Event[Any]], world: World) -> tuple[dict[str, int], float]:
    """Give them to a book in batches, as a partition does: how often which verdict, and seconds."""
    book, verdicts = Book(), dict[str, int]()
    world, began = replace(world, tally=book.tally), time.perf_counter()
    for start in range(0, len(events), BATCH):
        out = Outcome()
        for event in events[start : start + BATCH]:
            book.take(event.data.target.subject, Fired(event.id, event.correlationid, event.data), world, out)
        for event in events[start : start + BATCH]:
            place = place_of(event.data.target)
            book.take(
                event.data.target.subject, Found(event.data.target.subject, event.data.alert_id, place), world, out
            )
        for fact in out.facts:
            if isinstance(fact.data, DecisionMade):
                verdicts[fact.data.verdict] = verdicts.get(fact.data.verdict, 0) + 1
    return verdicts, time.perf_counter() - began


def event_of(number: int) -> Event[AlertFired]:
    """An alert on a pod of its own; of twenty, fifteen have a policy that acts, four observe, one has none."""
    target = Target(cluster=CLUSTER, group="", kind="Pod", namespace=f"team-{number % 40}", name=f"pod-{number}")
    life = stable_id(CLUSTER, "bench", number)
    data = AlertFired(
        alert_id=life, target=target, source="alertmanager", sender=CLUSTER, name=f"Alert{number % 10}x{number % 20}",
        severity=Severity.WARNING, lasting=True, onset=NOON - timedelta(minutes=1), fired_at=NOON,
        labels={"team": f"t{number % 7}", "namespace": target.namespace, "pod": target.name, "severity": "warning"},
        values={"restarts": number % 9 + 6}, summary=f"Pod {target.namespace}/{target.name} is crash looping",
    )  # fmt: skip
    return make_event(
        data, id=stable_id(life, "fired"), source="setpoint/gateway/alertmanager", subject=target.subject, time=NOON,
        correlationid=life,
    )  # fmt: skip


def place_of(pod: Target) -> Place:
    """What the cluster would say of the alert's pod: it and its Deployment are there."""
    uid = f"uid-{pod.name}"
    workload = Target(
        cluster=CLUSTER, group="apps", kind="Deployment", namespace=pod.namespace, name=f"app-{pod.name}", uid=uid
    )
    return Place(object=pod.model_copy(update={"uid": uid}), pod=pod, workload=workload)


def policy(number: int) -> Policy:
    """One of the 200: ten for each alert's name, of which the last by name matches; every tenth has a glob."""
    kind = number % 20
    name = f"Alert{kind % 10}x{kind}" if number % 50 else f"Alert{kind % 10}x*"
    last = number >= POLICIES - 20
    match = {"severity": ">=warning", "namespace": ["team-*" if last else f"elsewhere-{number}"]}
    spec: dict[str, Any] = {
        "trigger": {"alert": name if kind != 9 else "NeverTold"}, "match": match, "when": "event.values.restarts > 5",
        "limits": {"oncePer": "1h", "attempts": {"max": 3, "within": "24h"}},
        "do": [{"restart": {"workload": "${event.workload}"}, "verify": {"until": ["rolloutComplete"]}}],
        "mode": "observe" if kind % 10 in (3, 6) else "enforce",
    }  # fmt: skip
    document = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": f"p{number:03}"}}
    return Policy.model_validate({**document, "spec": spec})


def world_of(policies: list[Policy]) -> World:
    """What every decision shares; the brake on storms is open."""
    known = tuple(policies)
    return World(NOON, known, (), Bounds(CLUSTER, storm_max=10 * ALERTS), index=PolicyIndex(known), environment="prod")
