"""Policies on a schedule: when their hours come, told as alerts that happen once and are about no object.

An hour's alert has an id of its own, made from policy and hour, so that it is seen to once whoever tells it how often.
The ledger keeps the last hour that was seen to: what came while nobody was there is made up for, the latest one of it
and not when it is older than an hour.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas.alerts import ALERT_GROUP, AlertFired, Severity
from schemas.events import stable_id
from schemas.ledger import Place, TargetState
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.inputs import Armed, Fired, World
from services.reconciler.policies.choosing import SCHEDULE, covers_cluster

SCHEDULE_KIND = "Schedule"
MOST_LATE = timedelta(hours=1)


class Schedules:
    """The next hour of each policy, for the one partition that a cluster's schedules belong to."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.policies: tuple[Policy, ...] | None = None
        self.next: dict[str, datetime] = {}

    def target(self, policy: str) -> Target:
        """The row of a policy's schedule."""
        return Target(cluster=self.cluster, group=ALERT_GROUP, kind=SCHEDULE_KIND, namespace="", name=policy)

    def due(self, world: World, rows: dict[str, TargetState]) -> Iterator[tuple[str, Fired | Armed]]:
        """What has to be told now, with the subject of its row."""
        if self.policies is not world.policies:
            self.policies = world.policies
            yield from self._arm(world, rows)
        for policy in self._scheduled(world.policies):
            hour = self.next.get(policy.name)
            if hour is not None and hour <= world.now:
                hour = _latest(policy, hour, world.now)
                self.next[policy.name] = following(policy, hour)
                if world.now - hour <= MOST_LATE:
                    yield self.target(policy.name).subject, self.hour(policy, hour, world.now)

    def next_due(self) -> datetime | None:
        """The next hour of any."""
        return min(self.next.values(), default=None)

    def _arm(self, world: World, rows: dict[str, TargetState]) -> Iterator[tuple[str, Armed]]:
        """The policies are others: those that are new begin to count from now on."""
        self.next = {}
        for policy in self._scheduled(world.policies):
            subject = self.target(policy.name).subject
            row = rows.get(subject)
            seen = row.scheduled_at if row else None
            if seen is None:
                yield subject, Armed(world.now)
            self.next[policy.name] = following(policy, seen or world.now)

    def _scheduled(self, policies: tuple[Policy, ...]) -> list[Policy]:
        mine = (policy for policy in policies if policy.spec.trigger.schedule is not None)
        return [policy for policy in mine if covers_cluster(policy, self.cluster)]

    def hour(self, policy: Policy, hour: datetime, now: datetime) -> Fired:
        """A policy's hour as what has happened."""
        alert_id = stable_id(self.cluster, SCHEDULE, policy.name, hour)
        alert = AlertFired(
            alert_id=alert_id, target=self.target(policy.name), source=SCHEDULE, sender="setpoint", name=policy.name,
            severity=Severity.INFO, lasting=False, onset=hour, fired_at=now, summary="the hour of its schedule",
        )  # fmt: skip
        return Fired(stable_id(alert_id, "fired"), alert_id, alert, Place())


def following(policy: Policy, after: datetime) -> datetime:
    """The first hour after a time, in UTC; the end of time where there is none, or the schedule cannot be read."""
    trigger = policy.spec.trigger
    try:
        found = next(CronSim(str(trigger.schedule), after.astimezone(ZoneInfo(trigger.time_zone))))
        return found.astimezone(UTC)
    except (CronSimError, StopIteration):
        return datetime.max.replace(tzinfo=UTC)


def _latest(policy: Policy, hour: datetime, now: datetime) -> datetime:
    """The last hour that is not in the future: those before it are made up for by this one."""
    recent = following(policy, now - MOST_LATE)
    hour = max(hour, recent) if recent <= now else hour
    while now - hour <= MOST_LATE:
        after = following(policy, hour)
        if after > now:
            break
        hour = after
    return hour
