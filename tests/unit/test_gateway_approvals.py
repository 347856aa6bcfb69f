"""People's answers over HTTP: who it is follows from the token alone, and saying it twice is saying it once."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from schemas.events import parse_event
from services.gateway.app import Ingest, make_app
from services.gateway.approvals import MAX_BYTES, read_answer, user_of
from services.gateway.secrets import Known
from services.gateway.server import Listener, serving
from services.gateway.source import Unreadable
from services.runtime.clock import SystemClock
from services.runtime.errors import Temporary
from services.runtime.kafka import Outgoing
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALICE, BOB = "alice's own token", "bob's quite own token"
SECRETS = {("approvals", "alice"): Known((ALICE.encode(),)), ("approvals", "bob"): Known((BOB.encode(),)),
           ("falco", "mallory"): Known((b"a token of a source",))}  # fmt: skip
YES = {"cluster": "prod-eu", "answer": "approve", "note": "go\nahead"}


class Broker:
    """A sink that keeps what it takes, or is away."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.away = False

    async def put(self, records: list[Outgoing]) -> None:
        if self.away:
            raise Temporary("the broker does not answer")
        self.taken += records


class Desk:
    """A gateway, and people who answer through it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, broker: Broker, metrics: Metrics) -> None:
        self.url, self.session, self.broker, self.metrics = url, session, broker, metrics

    async def say(self, token: str, body: Any, question: str = "q1") -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body)
        headers = {"authorization": f"Bearer {token}"}
        async with self.session.post(f"{self.url}/{question}", data=data, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    broker, metrics = Broker(), Metrics("gateway")
    ingest = Ingest({}, lambda: SECRETS, broker, clock=SystemClock(), metrics=metrics, log=get_log("gateway"))  # type: ignore[arg-type]
    async with serving(make_app(ingest), Listener("127.0.0.1", 0)) as port, aiohttp.ClientSession() as session:
        yield Desk(f"http://127.0.0.1:{port}/v1/approvals", session, broker, metrics)


async def test_an_answer_is_taken_in_the_name_of_its_token(desk: Desk) -> None:
    """202 means that all replicas have it, keyed by the cluster whose question it is."""
    assert await desk.say(BOB, YES) == (202, {"result": "accepted", "events": 1})
    (record,) = desk.broker.taken
    assert record.value is not None
    event = parse_event(record.value)
    assert event is not None
    assert (record.topic, record.key) == ("setpoint-approvals", b"prod-eu")
    data = event.data.model_dump(exclude={"at"})
    assert data == {
        "approval_id": "q1", "cluster": "prod-eu", "answer": "approve", "by": "bob", "via": "http", "note": "go ahead"
    }  # fmt: skip


async def test_saying_it_again_is_the_same_event(desk: Desk) -> None:
    """Of the same person, about the same question, and the same answer; anything else is another one."""
    for token, body, question in [(ALICE, YES, "q1"), (ALICE, YES, "q1"), (BOB, YES, "q1"), (ALICE, YES, "q2"),
                                  (ALICE, {**YES, "answer": "deny"}, "q1")]:  # fmt: skip
        assert (await desk.say(token, body, question))[0] == 202
    ids = [json.loads(record.value or b"")["id"] for record in desk.broker.taken]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("token", ["", "nobody's token at all", "a token of a source"])
async def test_a_stranger_answers_nothing(desk: Desk, token: str) -> None:
    """Nor does who may send alerts."""
    assert (await desk.say(token, YES))[0] == 401
    found = desk.metrics.registry.get_sample_value(
        "setpoint_refusals_total", {"source": "approvals", "why": "unauthorized"}
    )  # fmt: skip
    assert (found, desk.broker.taken) == (1, [])


async def test_an_answer_that_the_broker_has_not_was_not_given(desk: Desk) -> None:
    """The person hears it and says it again."""
    desk.broker.away = True
    assert (await desk.say(ALICE, YES))[0] == 503
    desk.broker.away = False
    assert (await desk.say(ALICE, YES))[0] == 202


@pytest.mark.parametrize(
    ("body", "question"),
    [
        pytest.param(b"{", "q1", id="torn"),
        pytest.param([], "q1", id="list"),
        pytest.param({**YES, "answer": "yes"}, "q1", id="another-word"),
        pytest.param({"cluster": "c"}, "q1", id="no-answer"),
        pytest.param({"answer": "deny"}, "q1", id="no-cluster"),
        pytest.param({**YES, "cluster": "a/b"}, "q1", id="no-clusters-name"),
        pytest.param({**YES, "by": "bob"}, "q1", id="in-another-name"),
        pytest.param(YES, "q%0A1", id="odd-question"),
        pytest.param(YES, "q" * 129, id="long-question"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_refused(desk: Desk, body: Any, question: str) -> None:
    """With a word on what is wrong; nothing of it goes on."""
    status, answer = await desk.say(ALICE, body, question)
    assert (status, answer["result"], desk.broker.taken) == (422, "unreadable", [])


async def test_an_answer_is_short(desk: Desk) -> None:
    """A note is a line, not a book."""
    assert (await desk.say(ALICE, {**YES, "note": "x" * MAX_BYTES}))[0] == 413


def test_a_token_that_two_share_is_nobodys() -> None:
    """Four eyes would be two otherwise."""
    shared = {("approvals", name): Known((ALICE.encode(),)) for name in ("alice", "bob")}
    headers = {"authorization": f"Bearer {ALICE}"}
    assert user_of(headers, shared, NOON) is None
    assert user_of(headers, SECRETS, NOON) == "alice"


def test_the_time_of_an_answer_is_not_its_identity() -> None:
    """A click that is sent again arrives later."""
    body = json.dumps(YES).encode()
    first, second = (read_answer("q1", "bob", body, NOON + timedelta(seconds=late)) for late in (0, 9))
    assert first.event.id == second.event.id


def test_a_refusal_does_not_quote_the_body() -> None:
    """It goes back to whoever sent it, and into the log."""
    with pytest.raises(Unreadable) as raised:
        read_answer("q1", "bob", json.dumps({"private-word": "private-value"}).encode(), NOON)
    assert "private" not in str(raised.value)
