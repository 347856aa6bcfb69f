"""The watchers that need nothing changed in the cluster, as far as the settings want them: `trouble` and `falco`.

They run beside the drift watcher, in whoever leads, and end with its lead.
"""

from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaProducer

from services.kube.api.cluster import Cluster
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.watcher.alerts_told import read_alerts
from services.watcher.falco.follow import follow_falco
from services.watcher.trouble.watch import Troubles, remembered_since


def alert_watchers(
    settings: Settings, cluster: Cluster, producer: AIOKafkaProducer, partitions: int, *, clock: Clock,
    metrics: Metrics, log: Log,
) -> list[Coroutine[Any, Any, None]]:  # fmt: skip
    """One coroutine each, to be run until cancelled."""
    watchers = {"trouble": (settings.trouble, watch_trouble), "falco": (settings.falco, follow_falco)}
    return [
        watch(settings, cluster, producer, partitions, clock=clock, metrics=metrics, log=log.bind(watcher=name))
        for name, (wanted, watch) in watchers.items()
        if wanted
    ]


async def watch_trouble(
    settings: Settings, cluster: Cluster, producer: AIOKafkaProducer, partitions: int, *, clock: Clock,
    metrics: Metrics, log: Log,
) -> None:  # fmt: skip
    """Tell what Kubernetes knows to be wrong, from where the last watcher left it."""
    backoff = Backoff(first=1.0)
    while True:
        watcher = Troubles(cluster, producer, clock=clock, metrics=metrics, log=log)
        try:
            since = remembered_since(clock.now())
            async for said in read_alerts(str(settings.kafka), cluster.name, partitions, since):
                watcher.restore(said)
            await watcher.run()
        except (Temporary, KafkaError) as error:
            metrics.inc("loop_errors_total")
            log.warning("what was said before cannot be read and is tried again", error=str(error))
        await clock.sleep(backoff.next())
