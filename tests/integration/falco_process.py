"""A process that follows Falco's logs and can be killed: `python -m tests.integration.falco_process SETTINGS LOGS`.

SETTINGS are a watcher's as JSON, LOGS is the address of the endpoint that logs come from.
"""

import asyncio
import sys

from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.session import Session
from services.local.credentials import CONTEXT
from services.runtime.clock import SystemClock
from services.runtime.kafka import admin, make_producer, shared_partitions, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.watcher.falco.follow import follow_falco
from tests.falco_logs import with_logs_elsewhere
from tests.faulty_api import configuration


async def follow(settings: Settings, logs: str) -> None:
    cluster: Cluster = await open_cluster(settings.kubeconfig, CONTEXT, settings.cluster)
    bootstrap = str(settings.kafka)
    async with started(admin(bootstrap)) as client:
        partitions = await shared_partitions(client)
    async with started(make_producer(bootstrap, client_id="test-watcher")) as producer:
        await follow_falco(
            settings, with_logs_elsewhere(cluster, Session(configuration(logs))), producer, partitions,
            clock=SystemClock(), metrics=Metrics("watcher"), log=get_log("watcher"),
        )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(follow(Settings.model_validate_json(sys.argv[1]), sys.argv[2]))
