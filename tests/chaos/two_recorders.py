"""Two recorders in one process over one engine, which has one process a folder: `python -m tests.chaos.two_recorders`.

Settings come from the environment, as with `setpoint run recorder`.
"""

import asyncio

from services.local.signals import stop_event
from services.recorder.service import run_recorder
from services.recorder.store import open_store
from services.runtime.clock import SystemClock
from services.runtime.health import Health, serve_health
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import load_settings


async def main() -> None:
    """Until SIGTERM; ready when the second one is."""
    configure_logging()
    settings, clock, stop = load_settings(), SystemClock(), stop_event()
    store = await open_store(str(settings.clickhouse))
    healths = [Health(name, clock) for name in ("recorder-one", "recorder-two")]
    recorders = [
        run_recorder(
            settings, clock=clock, health=health, metrics=Metrics(health.service), log=get_log(health.service),
            stop=stop, store=store,
        )
        for health in healths
    ]  # fmt: skip
    async with serve_health(healths[1], Metrics("recorders"), "127.0.0.1", 0) as port:
        get_log("recorders").info("health is served", port=port)
        await asyncio.gather(*recorders)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
