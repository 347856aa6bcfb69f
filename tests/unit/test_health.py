"""Ready means that the work can be done now, and names what stands against it."""

import aiohttp

from services.runtime.health import Health, serve_health
from services.runtime.metrics import Metrics
from tests.fakes import StillClock


def test_every_condition_is_asked_each_time() -> None:
    """What was wrong and is right again is not held against a service."""
    health, wrong = Health("watcher", StillClock()), ["away"]
    health.require("broker", lambda: wrong[0] if wrong else None)
    assert health.problems() == {"broker": "away"}
    wrong.clear()
    assert health.problems() == {}


def test_who_has_not_begun_is_not_ready() -> None:
    """A service that has said nothing yet may be about to fail."""
    assert Health("watcher", StillClock()).problems() == {"start": "is starting"}


def test_a_loop_that_does_not_go_round_is_a_problem() -> None:
    """Until it goes round again."""
    clock = StillClock()
    health = Health("watcher", clock)
    health.beat("loop", within=10)
    clock.advance(9)
    assert health.problems() == {}
    clock.advance(2)
    assert "11 s" in health.problems()["loop"]
    health.beat("loop", within=10)
    assert health.problems() == {}


def test_a_loop_that_has_ended_as_it_should_is_forgotten() -> None:
    """A watcher that stands by has no loop; once it leads again it has one, which is watched again."""
    clock = StillClock()
    health = Health("watcher", clock)
    health.beat("loop", within=10)
    health.require("group", lambda: None)
    health.forget("loop")
    clock.advance(100)
    assert health.problems() == {}
    health.beat("loop", within=10)
    clock.advance(100)
    assert "loop" in health.problems()


async def test_the_endpoints() -> None:
    """/live while it runs, /ready by its conditions, /metrics in Prometheus' text."""
    health, metrics = Health("watcher", StillClock()), Metrics("watcher")
    async with serve_health(health, metrics, "127.0.0.1", 0) as port, aiohttp.ClientSession() as client:
        base = f"http://127.0.0.1:{port}"
        health.require("watch", lambda: None)
        async with client.get(base + "/ready") as answer:
            assert (answer.status, await answer.json()) == (200, {"service": "watcher", "ready": True, "problems": {}})
        health.require("watch", lambda: "not listed yet")
        async with client.get(base + "/ready") as answer:
            assert answer.status == 503
            assert (await answer.json())["problems"] == {"watch": "not listed yet"}
        async with client.get(base + "/live") as answer:
            assert answer.status == 200
        async with client.get(base + "/metrics") as answer:
            assert "setpoint_relists_total 0.0" in await answer.text()
    async with serve_health(health, metrics, "127.0.0.1", None) as port:
        assert port is None
