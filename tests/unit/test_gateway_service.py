"""The gateway as a whole, without a broker: it answers, and says what it lacks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from services.cli.main import main
from services.gateway.service import run_gateway
from services.local.ports import free
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from services.runtime.health import Health
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.fakes import eventually

SECRET = "s" * 32
EMPTY = b'{"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": []}'
ONE = EMPTY.replace(b"[]", b"""[{"stage": "ResponseComplete", "verb": "patch", "user": {"username": "alice"},
    "objectRef": {"resource": "pods", "namespace": "n", "name": "p"}, "responseStatus": {"code": 200},
    "requestReceivedTimestamp": "2026-11-24T12:00:00Z", "stageTimestamp": "2026-11-24T12:00:00Z"}]""")  # fmt: skip


class Running:
    """A gateway over a port where no broker listens."""

    def __init__(self, secrets: Path, **settings: Any) -> None:
        self.port, broker = free(2)
        self.settings = Settings(
            kafka=f"127.0.0.1:{broker}", gateway_secrets=secrets, gateway_listen=f"127.0.0.1:{self.port}", **settings
        )
        self.health, self.stop = Health("gateway", SystemClock()), asyncio.Event()
        self.task = asyncio.create_task(
            run_gateway(
                self.settings, clock=SystemClock(), health=self.health, metrics=Metrics("gateway"),
                log=get_log("gateway"), stop=self.stop,
            )
        )  # fmt: skip

    async def send(self, body: bytes) -> int:
        url = f"http://127.0.0.1:{self.port}/v1/ingest/audit/c"
        headers = {"authorization": f"Bearer {SECRET}"}
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return answer.status


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "audit.c").write_text(SECRET, encoding="utf-8")
    return tmp_path


@pytest.fixture
async def running(secrets: Path) -> AsyncIterator[Running]:
    found = Running(secrets)
    yield found
    found.stop.set()
    await asyncio.wait_for(found.task, 60)


async def test_while_the_broker_is_away_senders_hear_503(running: Running) -> None:
    """From the start on: a closed door would say nothing, and 202 would be a lie."""

    async def listens() -> bool:
        try:
            return await running.send(EMPTY) == 202  # nothing to keep is kept at once
        except aiohttp.ClientConnectorError:
            return False

    await eventually(listens)
    assert await running.send(ONE) == 503
    assert "broker" in running.health.problems()


async def test_wrong_secrets_end_the_start(tmp_path: Path) -> None:
    """A gateway that lets nobody in would look like one that works."""
    file = tmp_path / "secrets.yaml"
    file.write_text(yaml.safe_dump({"adit": {"c": SECRET}}), encoding="utf-8")
    with pytest.raises(Permanent, match="no such source"):
        await Running(file).task


async def test_a_certificate_that_is_none_ends_the_start(secrets: Path) -> None:
    """Rather than speaking plain HTTP."""
    with pytest.raises(Permanent, match="certificate"):
        await Running(
            secrets, gateway_tls_certificate=str(secrets / "audit.c"), gateway_tls_key=str(secrets / "audit.c")
        ).task


def test_the_command_says_what_it_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without secrets nobody could send anything."""
    monkeypatch.delenv("SETPOINT_GATEWAY_SECRETS", raising=False)
    monkeypatch.setattr("services.cli.run.configure_logging", lambda *_: None)  # the logs of other tests stay
    assert main(["run", "gateway", "--kafka", "127.0.0.1:1"]) == 2
    assert "--gateway-secrets" in capsys.readouterr().err
