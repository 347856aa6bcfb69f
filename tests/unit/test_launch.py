"""How one service is started, waited for and ended."""

import asyncio

import pytest

from services.local.launch import Surroundings, keep_running, new_health, patiently, until_stopped
from services.runtime.errors import Permanent, Temporary
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.fakes import StillClock


def test_a_service_that_has_not_started_is_not_ready() -> None:
    """Before it could state any condition of its own."""
    assert new_health("watcher", StillClock()).problems() == {"start": "it has not started yet"}


async def test_a_part_that_is_away_at_the_start_is_waited_for() -> None:
    """As long as it takes, and the reason shows in readiness meanwhile."""
    health, shown = new_health("watcher", StillClock()), []

    async def connect() -> str:
        shown.append(health.problems()["start"])
        if len(shown) < 3:
            raise Temporary("the API server does not answer")
        return "connected"

    assert await patiently(connect, "watcher", StillClock(), health) == "connected"
    assert shown == ["it has not started yet", *["the API server does not answer"] * 2]


async def test_what_waiting_does_not_help_ends_the_start() -> None:
    """A wrong setting is no outage."""

    async def connect() -> None:
        raise Permanent("no such context")

    with pytest.raises(Permanent):
        await patiently(connect, "watcher", StillClock(), new_health("watcher", StillClock()))


async def test_a_service_may_end_in_order() -> None:
    """It is not cut off at the stop signal, and what it raises then is raised."""
    stop, steps = asyncio.Event(), []

    async def service() -> None:
        await stop.wait()
        await asyncio.sleep(0)
        steps.append("written")

    running = asyncio.create_task(until_stopped(stop, service()))
    stop.set()
    await running
    assert steps == ["written"]


async def test_a_service_that_cannot_go_on_ends_at_once() -> None:
    """Without waiting for a stop signal, and with its reason."""
    health, clock = new_health("watcher", StillClock()), StillClock()
    around = Surroundings(Settings(), clock, asyncio.Event())  # no cluster
    with pytest.raises(Permanent, match="needs a cluster"):
        await until_stopped(around.stop, keep_running("watcher", around, health, Metrics("watcher")))
