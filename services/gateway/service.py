"""The gateway's wiring. In: HTTP, and topics that others write. Out: setpoint-alerts, -approvals, -audit, -metrics,
-samples, and -dead-letter for what on such a topic cannot be read.

Steps of a request: known source → proof of a secret → not too many → body within its limit → events → the broker's
acknowledgement. Steps of an intake: records → events → one transaction with the offset.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from services.gateway.app import Ingest, make_app
from services.gateway.approvals import APPROVALS
from services.gateway.intake import intakes_of
from services.gateway.remote_write import METRICS
from services.gateway.secrets import Secrets, secrets_file
from services.gateway.server import Listener, serving
from services.gateway.sink import Sink
from services.gateway.sources import SOURCES
from services.runtime.clock import Clock
from services.runtime.health import Health
from services.runtime.lastgood import LastGood
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.sampling import publish_metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background, run_until

LOOK_S = 10.0


async def run_gateway(
    settings: Settings, *, clock: Clock, health: Health, metrics: Metrics, log: Log, stop: asyncio.Event
) -> None:
    """Run until `stop`, then answer what is under way. Raises Permanent for secrets or certificates that are wrong."""
    bootstrap = str(settings.need("kafka", "--kafka"))
    known = frozenset({*SOURCES, APPROVALS, METRICS})
    secrets = secrets_file(settings.need("gateway_secrets", "--gateway-secrets"), known)
    intakes = intakes_of(settings, SOURCES, clock=clock, health=health, metrics=metrics, log=log)
    sink = Sink(bootstrap, clock, log)
    ingest = Ingest(
        SOURCES, lambda: secrets.value, sink, clock=clock, metrics=metrics, log=log, rate=settings.gateway_rate
    )
    health.require("broker", sink.problem)
    health.require("secrets", lambda: str(secrets.problem) if secrets.problem else None)
    listener = Listener.of(settings)
    parts: list[Coroutine[Any, Any, None]] = [
        sink.run(), _keep_fresh(secrets, clock, log), _tell(sink, metrics, clock, stop)
    ]  # fmt: skip
    async with background(*parts), serving(make_app(ingest), listener, ingest.refused_below) as port:
        scheme = "https" if listener.certificate else "http"
        log.info("listens", url=f"{scheme}://{listener.host}:{port}", senders=len(secrets.value))
        await run_until(stop, *(intake.run() for intake in intakes))


async def _keep_fresh(secrets: LastGood[Secrets], clock: Clock, log: Log) -> None:
    """Take over new secrets without a restart; wrong ones leave the last good ones in force."""
    while True:
        await clock.sleep(LOOK_S)
        if secrets.refresh():
            log.info("secrets were read again", senders=len(secrets.value))
        elif secrets.problem:
            log.warning("the last good secrets stay in force", error=str(secrets.problem))


async def _tell(sink: Sink, metrics: Metrics, clock: Clock, stop: asyncio.Event) -> None:
    """Publish the gateway's own metrics, once there is a broker."""
    while sink.producer is None:
        await clock.sleep(1.0)
    await publish_metrics(sink.producer, metrics, "gateway", clock, stop)
