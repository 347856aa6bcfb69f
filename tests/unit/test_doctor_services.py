"""What `setpoint doctor` says of services, by their own word."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from services.cli.checks import Check
from services.cli.doctor_services import named, services
from services.cli.main import main
from services.runtime.clock import SystemClock
from services.runtime.errors import UsageError
from services.runtime.health import Health, serve_health
from services.runtime.metrics import Metrics

PORT = 0


@asynccontextmanager
async def gateway(problem: str | None = None, note: str | None = None) -> AsyncIterator[str]:
    """A gateway's health, at its address."""
    health = Health("gateway", SystemClock())
    health.require("broker", lambda: problem)
    health.note("intake", lambda: note)
    async with serve_health(health, Metrics("gateway"), "127.0.0.1", PORT) as port:
        yield f"http://127.0.0.1:{port}"


async def asked(name: str, url: str) -> Check:
    [check] = [check async for check in services({name: url})]
    return check


async def test_a_ready_service_is_named_as_it_calls_itself() -> None:
    """Where it was named by its address; what it can do without is told beside."""
    async with gateway(note="reads nothing") as url:
        check = await asked(url, url)
    assert check == Check("services", "gateway", True, "ready; intake: reads nothing")


async def test_a_service_says_what_it_lacks() -> None:
    """It answers, so it is not away."""
    async with gateway("does not answer") as url:
        check = await asked("mine", url)
    assert (check.what, check.ok, check.away, check.detail) == ("mine", False, False, "broker: does not answer")


async def test_nobody_at_the_address_is_away() -> None:
    """And the address is named."""
    async with gateway() as url:
        pass
    check = await asked("gateway", url)
    assert (check.ok, check.away) == (False, True)
    assert url in check.detail


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="a-page"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"ready": true}', id="others"),
        pytest.param(json.dumps({"service": "x", "problems": 5}).encode(), id="odd-problems"),
        pytest.param(b"\xff", id="no-text"),
    ],
)
async def test_another_server_there_is_no_service(body: bytes) -> None:
    """An address that was mistaken is told as such, whatever answers."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/ready", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", PORT)
    await site.start()
    check = await asked("gateway", f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert (check.ok, check.away) == (False, False)
    assert "is no health address" in check.detail


@pytest.mark.parametrize(
    ("given", "address"),
    [
        pytest.param("http://gateway:9090", "http://gateway:9090", id="plain"),
        pytest.param("http://gateway:9090/", "http://gateway:9090", id="slash"),
        pytest.param("https://gateway/ready", "https://gateway", id="the-whole-path"),
    ],
)
def test_an_address_is_taken_as_people_write_it(given: str, address: str) -> None:
    """With or without what is asked there."""
    assert named([given]) == {address: address}


def test_what_is_no_address_is_refused() -> None:
    """With the form that is wanted."""
    with pytest.raises(UsageError, match="'gateway:9090' is no address"):
        named(["gateway:9090"])


async def test_a_service_alone_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 where it is not ready, and what to do."""
    async with gateway("the broker does not answer") as url:
        code = await asyncio.to_thread(main, ["doctor", "--service", url])
    shown = capsys.readouterr().out
    assert code == 1
    assert "✗ services   gateway" in shown
    assert "→ look at its log" in shown
