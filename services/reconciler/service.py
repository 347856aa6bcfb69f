"""The reconciler's wiring. In: setpoint-drift, -alerts, -approvals, -control, and -ledger at the start of a
partition. Out: setpoint-decisions, -actions, -approvals, -ledger, -dead-letter, -metrics, and writes to one cluster.

Steps: own partitions → load the ledger → inputs to rows, decisions and jobs → one transaction → run the jobs.
"""

import asyncio
from collections.abc import Callable, Mapping

from services.kube.api.cluster import Cluster
from services.kube.api.operate import Operate
from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey
from services.reconciler.acting.carrier import Desk
from services.reconciler.acting.hands import Hands, KubeHands
from services.reconciler.acting.outside import open_outside
from services.reconciler.acting.turns import Turns
from services.reconciler.acting.worker import Bench
from services.reconciler.guards import Bounds
from services.reconciler.owner import own
from services.reconciler.policies.rulebook import Rulebooks, Rules
from services.reconciler.shared import Shared
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.kafka import KafkaError, admin, make_producer, shared_partitions, started
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.sampling import publish_metrics
from services.runtime.settings import Settings
from services.runtime.tasks import cancel, run_until

WORKERS = 32

DeclaredByKey = Callable[[], Mapping[ObjectKey, Declared]]
RulesSource = Callable[[], Rules]


async def run_reconciler(
    settings: Settings, *, cluster: Cluster, declared: DeclaredByKey, rules: RulesSource, clock: Clock, health: Health,
    metrics: Metrics, log: Log, stop: asyncio.Event,
) -> None:  # fmt: skip
    """Run until `stop`; a broker that is away is waited for. Raises Permanent where that would be in vain."""
    async with open_outside(settings.action_secrets) as outside:
        turns = Turns(WORKERS)
        bounds = bounds_of(settings, cluster.name)
        desk = Desk(Operate(cluster), outside, clock, turns, log, settings.key(), bounds)
        await reconcile(
            settings, hands=KubeHands(cluster), declared=declared, rules=rules, clock=clock, health=health,
            metrics=metrics, log=log, stop=stop, desk=desk,
        )  # fmt: skip


async def reconcile(
    settings: Settings, *, hands: Hands, declared: DeclaredByKey, rules: RulesSource, clock: Clock, health: Health,
    metrics: Metrics, log: Log, stop: asyncio.Event, desk: Desk | None = None,
) -> None:  # fmt: skip
    """The same with any hands; without a desk nothing is done about alerts."""
    shared = Shared(
        bootstrap=str(settings.need("kafka", "--kafka")),
        group=f"{settings.group_prefix}-reconciler-{hands.name}",
        bounds=bounds_of(settings, hands.name),
        declared=declared,
        rules=Rulebooks(rules, clock, log),
        bench=Bench(hands, clock, desk.turns if desk else Turns(WORKERS), log),
        metrics=metrics,
        log=log,
        desk=desk,
        environment=settings.environment,
    )
    health.require("partitions", lambda: "not a member of its group yet")
    try:
        await run_until(stop, _own(shared, health), _measure(shared, hands.name, stop))
    finally:
        await cancel(*shared.workers)
        await asyncio.gather(*shared.closing, return_exceptions=True)


def bounds_of(settings: Settings, cluster: str) -> Bounds:
    """What this process may touch."""
    protected = frozenset(settings.protected_namespaces)
    return Bounds(cluster, protected, settings.storm_max, settings.storm_within)


async def _own(shared: Shared, health: Health) -> None:
    """Own partitions, and start over whenever the broker was away."""
    backoff = Backoff(first=0.2, most=10.0)
    while True:
        try:
            async with started(admin(shared.bootstrap)) as client:
                await shared_partitions(client)
            backoff.reset()
            await own(shared, health)
        except (Temporary, KafkaError, OSError) as error:
            shared.metrics.inc("loop_errors_total")
            shared.log.warning("starts over", error=f"{type(error).__name__}: {error}")
        await shared.bench.clock.sleep(backoff.next())


async def _measure(shared: Shared, cluster: str, stop: asyncio.Event) -> None:
    """Publish the metrics, now and then."""
    backoff = Backoff(first=1.0, most=30.0)
    while True:
        try:
            async with started(make_producer(shared.bootstrap, client_id="setpoint-reconciler-metrics")) as producer:
                key = f"reconciler/{cluster}"
                await publish_metrics(producer, shared.metrics, key=key, clock=shared.bench.clock, stop=stop)
                return
        except (Temporary, KafkaError, OSError):
            await shared.bench.clock.sleep(backoff.next())
