"""`approvals`, `approve` and `deny` on a real broker, and through a real gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner

from schemas.approvals import (
    AnswerKind,
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
    RefusedAnswer,
)
from schemas.base import EventModel
from schemas.events import Event, make_event, parse_event, stable_id
from schemas.topics import TopicName
from services.cli import approvals, approve, deny
from services.cli.approving import TOKEN
from services.gateway.service import run_gateway
from services.local.broker import LocalBroker
from services.local.ports import free
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, SetpointError, UsageError
from services.runtime.health import Health
from services.runtime.kafka import make_consumer, make_producer, outgoing, send_all, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.fakes import eventually
from tests.integration.recorder_parts import own_broker
from tests.reconciler_kit import target_of

__all__ = ["own_broker"]
pytestmark = pytest.mark.integration
SECRET = "token-of-ann-" + "x" * 20


class Desk:
    """The command line over one broker; questions and clusters of the test's own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap, self.cluster = bootstrap, f"c-{uuid4().hex[:8]}"

    async def ask(self, **more: Any) -> ApprovalRequested:
        """Put a question, as the reconciler does."""
        now = SystemClock().now()
        values: dict[str, Any] = {
            "approval_id": uuid4().hex, "target": target_of(cluster=self.cluster), "decision_id": "d",
            "policy": "restart", "action": "restart", "plan": "rolls 3 pods", "plan_hash": "h",
            "asked_at": now, "ends_at": now + timedelta(minutes=5),
        }  # fmt: skip
        asked = ApprovalRequested.model_validate(values | more)
        await self.say(asked, stable_id(asked.approval_id, "requested"))
        return asked

    async def say(self, data: EventModel, id: str) -> None:
        """Put an event on the topic."""
        event = make_event(
            data, id=id, source="s", subject="x", time=SystemClock().now(), correlationid="a1"
        )  # fmt: skip
        async with started(make_producer(self.bootstrap, client_id="test")) as producer:
            await send_all(producer, [outgoing(TopicName.APPROVALS, event, self.cluster)])

    async def run(self, command: Any, *arguments: str, kafka: bool = True) -> tuple[int, str]:
        """Exit code and what was printed; what it raised is raised."""
        call = [*arguments, *(["--kafka", self.bootstrap] if kafka else [])]
        result = await asyncio.to_thread(CliRunner().invoke, command, call, standalone_mode=False)
        if result.exception:
            raise result.exception
        return int(result.return_value), result.output

    async def answers(self, id: str) -> list[Event[ApprovalAnswered]]:
        """What was answered to a question."""
        found = []
        async with started(make_consumer(self.bootstrap, TopicName.APPROVALS, client_id="test")) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                found += await _events(consumer)
        return [event for event in found if isinstance(event.data, ApprovalAnswered) and event.data.approval_id == id]


async def _events(consumer: AIOKafkaConsumer) -> list[Event[Any]]:
    batches = (await consumer.getmany(timeout_ms=200)).values()
    parsed = (parse_event(record.value or b"") for records in batches for record in records)
    return [event for event in parsed if event]


@pytest.fixture
def desk(own_broker: LocalBroker, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("SETPOINT_KAFKA", TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("services.cli.approving.the_running", lambda _: None)
    return Desk(own_broker.bootstrap)


async def test_open_questions_are_listed(desk: Desk) -> None:
    """From the broker alone; one that is over is shown with --all only, with what it came to."""
    assert await desk.run(approvals.command, "--cluster", desk.cluster) == (0, "nothing is asked\n")
    asked, over = await desk.ask(by=("group:sre",)), await desk.ask()
    end = ApprovalClosed(
        approval_id=over.approval_id, target=over.target, outcome=ApprovalEnd.DENIED, by=("bob",), at=over.asked_at
    )  # fmt: skip
    await desk.say(end, stable_id(over.approval_id, "closed"))
    code, text = await desk.run(approvals.command, "--cluster", desk.cluster)
    assert code == 1
    assert asked.approval_id[:8] in text
    assert "group:sre" in text
    assert over.approval_id[:8] not in text
    code, text = await desk.run(approvals.command, "--cluster", desk.cluster, "--all", "--output", "json")
    assert [(one["id"], one["outcome"], one["answered_by"]) for one in json.loads(text)] == [
        (asked.approval_id, "", []), (over.approval_id, "denied", ["bob"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        pytest.param(approve.command, AnswerKind.APPROVE, id="approve"),
        pytest.param(deny.command, AnswerKind.DENY, id="deny"),
    ],
)
async def test_an_answer_is_written_beside_its_question(desk: Desk, command: Any, kind: AnswerKind) -> None:
    """On the question's own partition, so that it is read after it; sent twice, it is the same event."""
    asked = await desk.ask()
    for _ in range(2):
        code, text = await desk.run(command, asked.approval_id[:10], "--as", "ann", "--note", "ok", "--yes")
        assert code == 0
        assert "rolls 3 pods" in text
    first, second = await desk.answers(asked.approval_id)
    assert first.id == second.id
    data = first.data
    assert (data.answer, data.by, data.via, data.cluster, data.note) == (kind, "ann", "cli", desk.cluster, "ok")
    assert first.causationid == stable_id(asked.approval_id, "requested")


async def test_a_no_on_the_terminal_sends_nothing(desk: Desk) -> None:
    """And so does a question that is not there, or that nobody confirmed."""
    asked = await desk.ask()
    with pytest.raises(UsageError, match="Give --yes"):
        await desk.run(approve.command, asked.approval_id)
    with pytest.raises(UsageError, match=f"Open are {asked.approval_id[:8]}"):
        await desk.run(approve.command, "0000nope", "--yes", "--cluster", desk.cluster)
    with pytest.raises(UsageError, match="no question"):
        await desk.run(approve.command, asked.approval_id, "--yes", "--cluster", "another")
    assert await desk.answers(asked.approval_id) == []


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        pytest.param(ApprovalEnd.APPROVED, 0, "approved by ann", id="approved"),
        pytest.param(ApprovalEnd.DENIED, 1, "denied by ann", id="denied by somebody else"),
        pytest.param(ApprovalEnd.EXPIRED, 1, "expired", id="expired"),
        pytest.param(ApprovalEnd.SUPERSEDED, 1, "superseded", id="superseded"),
        pytest.param(None, 1, "it did not count: not-an-approver", id="refused"),
    ],
)
async def test_waiting_tells_what_became_of_it(desk: Desk, outcome: ApprovalEnd | None, code: int, words: str) -> None:
    """Exit code 0 only where the question ended as wished; another's refused answer is not ours."""
    asked = await desk.ask()
    waiting = asyncio.create_task(desk.run(approve.command, asked.approval_id, "--as", "ann", "--yes", "--wait"))
    await eventually(lambda: desk.answers(asked.approval_id))
    base = {"approval_id": asked.approval_id, "target": asked.target, "at": asked.asked_at}
    why = RefusedAnswer.NOT_AN_APPROVER
    await desk.say(ApprovalRefused(**base, by="eve", via="cli", why=why), "r1")
    by = ("ann",) if outcome in (ApprovalEnd.APPROVED, ApprovalEnd.DENIED) else ()
    said = (
        ApprovalClosed(**base, outcome=outcome, by=by)
        if outcome
        else ApprovalRefused(**base, by="ann", via="cli", why=why)
    )
    await desk.say(said, "c1")
    found, text = await asyncio.wait_for(waiting, 90)
    assert found == code
    assert words in text.splitlines()[-1]


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(own_broker: LocalBroker, tmp_path: Path) -> AsyncIterator[str]:
    """A gateway that knows ann's token; its URL."""
    (tmp_path / "approvals.ann").write_text(SECRET, encoding="utf-8")
    (port,), stop, clock = free(1), asyncio.Event(), SystemClock()
    settings = Settings(kafka=own_broker.bootstrap, gateway_secrets=tmp_path, gateway_listen=f"127.0.0.1:{port}")
    health = Health("gateway", clock)
    task = asyncio.create_task(
        run_gateway(
            settings, clock=clock, health=health, metrics=Metrics("gateway"), log=get_log("gateway"), stop=stop
        )
    )  # fmt: skip
    await eventually(lambda: not health.problems() or task.done())
    yield f"http://127.0.0.1:{port}/"
    stop.set()
    await task


async def test_over_the_gateway_one_is_who_the_token_belongs_to(
    desk: Desk, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the broker at hand the plan is shown first; without it the whole id and the cluster must be given."""
    asked = await desk.ask()
    monkeypatch.setenv(TOKEN, SECRET)
    code, text = await desk.run(approve.command, asked.approval_id[:12], "--gateway", gateway, "--yes", "--note", "a")
    assert code == 0
    assert "rolls 3 pods" in text
    call = [asked.approval_id, "--gateway", gateway, "--yes", "--cluster", desk.cluster]
    assert (await desk.run(deny.command, *call, kafka=False))[0] == 0
    yes, no = await desk.answers(asked.approval_id)
    assert (yes.data.answer, yes.data.by, yes.data.via, yes.data.note) == (AnswerKind.APPROVE, "ann", "http", "a")
    assert (no.data.answer, no.data.by, no.data.via) == (AnswerKind.DENY, "ann", "http")


async def test_a_wrong_token_is_an_error_that_says_so(
    desk: Desk, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a gateway that is not there is another."""
    asked = await desk.ask()
    monkeypatch.setenv(TOKEN, "not-the-token-of-anybody-at-all")
    with pytest.raises(Permanent, match=f"Check {TOKEN}"):
        await desk.run(approve.command, asked.approval_id, "--gateway", gateway, "--yes")
    with pytest.raises(SetpointError, match="the gateway does not answer"):
        await desk.run(approve.command, asked.approval_id, "--gateway", "http://127.0.0.1:1", "--yes")
    assert await desk.answers(asked.approval_id) == []
