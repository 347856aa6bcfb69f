"""Decisions a second of one reconciler, on recorded alerts and with 200 policies: what its one thread does for them.

From the records' bytes to the facts, through the same functions and in the same batches as on a partition: read,
matched, filled, every guard asked, every action begun. What is not in it: the broker's transactions and the cluster,
which run beside and are measured by the other benchmarks; and the writing of facts and rows, which is told in words.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.structs import ConsumerRecord

from benchmarks.breakdown import percentile
from benchmarks.figures import Figure, figure
from schemas.alerts import AlertFired, Severity
from schemas.events import DecisionMade, Event, make_event, stable_id
from schemas.ledger import Place
from schemas.policy import Policy
from schemas.target import Target
from schemas.topics import TopicName
from services.local.prepare import Parts
from services.reconciler.book import Book, Outcome
from services.reconciler.guards import Bounds
from services.reconciler.inputs import World
from services.reconciler.intake import MOST_RECORDS, read, take_in, unplaced
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.records import Reader, Record, fact_records, row_records
from services.runtime.collector import collect_seldom

NAMES = ("decisions_per_s",)
ALERTS, POLICIES = 20_000, 200
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLUSTER = "bench"


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figure, and where the time goes as text."""
    records = [record_of(number) for number in range(ALERTS)]
    places = {stable_id(CLUSTER, "bench", number): place_of(target_of(number)) for number in range(ALERTS)}
    world = world_of([policy(number) for number in range(POLICIES)])
    collect_seldom()  # as services do at their start
    verdicts, seconds, cpu, writing = decide(deque(records), places, world)
    made = sum(verdicts.values())
    of_one = [spent / MOST_RECORDS * 1e6 for spent in cpu]
    words = (
        f"{made} decisions ({', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))}) on "
        f"{ALERTS} alerts in {seconds:.2f} s, {sum(cpu):.2f} of them CPU: {made / sum(cpu):.0f} a CPU second; "
        f"µs an alert in the quickest batch {min(of_one):.0f}, p50 {percentile(of_one, 50):.0f}, in the slowest "
        f"{max(of_one):.0f}; {writing / ALERTS * 1e6:.0f} more to write its facts and row"
    )
    return [figure("decisions_per_s", made / seconds, made)], words


def decide(
    records: "deque[Record[bytes, bytes]]", places: dict[str, Place], world: World
) -> tuple[Counter[str], float, list[float], float]:
    """Give them to a book in batches, as a partition does: how often which verdict; seconds, CPU seconds of each batch,
    and what writing it would take besides."""
    book, reader, verdicts = Book(), Reader(CLUSTER), Counter[str]()
    world, seconds, cpu, writing = replace(world, tally=book.tally), 0.0, list[float](), 0.0
    while records:
        began, used = time.perf_counter(), time.thread_time()
        given = read(records, reader)
        found = {alert.alert_id: places[alert.alert_id] for alert in unplaced(given, book, world)}
        out = take_in(given, deque(), found, book, world, lambda _: None, None, changed=False)
        seconds, cpu = seconds + time.perf_counter() - began, [*cpu, time.thread_time() - used]
        verdicts.update(verdicts_of(out))
        used = time.thread_time()
        fact_records(out.facts, 0, NOON)
        row_records(out.rows, 0)
        writing += time.thread_time() - used
    return verdicts, seconds, cpu, writing


def verdicts_of(out: Outcome) -> Iterable[str]:
    """What was decided."""
    return (fact.data.verdict for fact in out.facts if isinstance(fact.data, DecisionMade))


def record_of(number: int) -> "Record[bytes, bytes]":
    """The alert of this number as the reconciler reads it."""
    value = event_of(number).model_dump_json().encode()
    return ConsumerRecord(
        TopicName.ALERTS, 0, number, 0, 0, CLUSTER.encode(), value, None, len(CLUSTER), len(value), ()
    )  # fmt: skip


def target_of(number: int) -> Target:
    """The pod that the alert of this number is about."""
    return Target(cluster=CLUSTER, group="", kind="Pod", namespace=f"team-{number % 40}", name=f"pod-{number}")


def event_of(number: int) -> Event[AlertFired]:
    """An alert on a pod of its own; of twenty, fifteen have a policy that acts, four observe, one has none."""
    target = target_of(number)
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
