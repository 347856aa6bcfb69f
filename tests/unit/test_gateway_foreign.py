"""Records that others wrote: as if they had been sent to a source, or dead letters; and how an intake is set."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from services.gateway.foreign import UNREADABLE_IN_A_ROW, Reader, headers_of
from services.gateway.intake import intakes_of
from services.gateway.source import Inbound, Reading, Sender, Source, Unreadable
from services.gateway.sources import SOURCES
from services.runtime.clock import SystemClock
from services.runtime.deadletters import MOST_AROUND, MOST_VALUE, dead_letter
from services.runtime.errors import Permanent, UsageError
from services.runtime.health import Health
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import load_settings
from tests.contract.test_sources import NOON, PAYLOADS

GOOD = (PAYLOADS / "falcosidekick/shell-in-a-pod.json").read_bytes()


def record(
    value: bytes | None, offset: int = 7, key: bytes | None = None, headers: Sequence[tuple[str, Any]] = ()
) -> "ConsumerRecord[Any, Any]":
    size = len(value or b"")
    return ConsumerRecord("falco-events", 3, offset, 0, 0, key, value, None, 0, size, tuple(headers))


class Bench:
    """A reader, and the defects that it told."""

    def __init__(self, source: Source | None = None, sender: Sender | None = None) -> None:
        self.defects: list[str] = []
        self.reader = Reader(
            source or SOURCES["falcosidekick"], sender or Sender("prod"), lambda error: self.defects.append(str(error))
        )

    def take(self, *values: bytes | None) -> Any:
        return self.reader.take([record(value, offset) for offset, value in enumerate(values)], NOON)


def test_a_record_is_what_the_same_body_over_http_is() -> None:
    """To the last byte of its event, so that an alert that comes on both ways is one."""
    (event,) = Bench().take(GOOD).events
    (made,) = SOURCES["falcosidekick"].read(Inbound(GOOD, {}, Sender("prod"), NOON)).made
    assert (event.topic, event.key, event.value) == (made.topic, b"prod", made.event.model_dump_json().encode())


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(b"{", "not JSON", id="torn"),
        pytest.param(b"[]", "not one alert", id="another-document"),
        pytest.param(b'{"rule": "x"}', "'time'", id="half-an-alert"),
        pytest.param(b" " * (SOURCES["falcosidekick"].max_bytes + 1), "more than", id="too-large"),
    ],
)
def test_what_cannot_be_read_is_kept_as_it_was(value: bytes, why: str) -> None:
    """With where it stood and what is wrong with it; what is around it is read."""
    taken = Bench().take(GOOD, value, GOOD)
    (letter,) = taken.dead
    headers = dict(letter.headers)
    assert len(taken.events) == 2
    assert value.startswith(letter.value or b"-")
    assert (headers["original-topic"], headers["original-partition"], headers["original-offset"]) == (
        b"falco-events", b"3", b"1"
    )  # fmt: skip
    assert why in headers["error"].decode()


def test_a_defect_of_ours_holds_up_nothing() -> None:
    """The record is kept for the version that can read it, and the log says where it failed."""

    def broken(inbound: Inbound) -> Reading:
        raise RuntimeError("quotes what was sent")

    bench = Bench(Source("odd", 1000, SOURCES["falco"].proof, broken))
    (letter,) = bench.take(b"{}").dead
    assert (letter.value, dict(letter.headers)["error"]) == (b"{}", b"a defect of Setpoint's own: RuntimeError")
    assert bench.defects == ["quotes what was sent"]


def test_what_makes_no_event_is_counted() -> None:
    """An empty record, what Falco says of itself, and a cluster that the sender may not speak about."""
    internal = b'{"rule": "Falco internal: syscall event drop", "time": "2026-11-24T11:00:00Z"}'
    assert Bench().take(None, internal).passed_over == {"tombstone": 1, "internal": 1}
    elsewhere = Bench(sender=Sender("falco-events", ("eu-*",), "cluster"))
    assert (elsewhere.take(GOOD).events, elsewhere.take(GOOD).passed_over) == ([], {"cluster": 1})


def test_too_many_in_a_row_are_another_topic() -> None:
    """One that can be read begins the count anew."""
    bench = Bench()
    for _ in range(3):
        assert len(bench.take(*[b"{"] * UNREADABLE_IN_A_ROW, GOOD).dead) == UNREADABLE_IN_A_ROW
    with pytest.raises(Permanent, match="in a row are nothing that falcosidekick sends"):
        bench.take(*[b"{"] * (UNREADABLE_IN_A_ROW + 1))


def test_headers_of_a_record_are_a_requests() -> None:
    """A CloudEvent in binary mode has its attributes there, and may have any character in them."""
    given = [("Content-Type", b"application/json"), ("ce_type", "a%2Fé".encode()), ("ce_a-b", b"x"), ("none", None)]
    assert headers_of(given) == {
        "content-type": "application/json", "ce-type": "a%252F%C3%A9", "ce_a-b": "x", "none": ""
    }  # fmt: skip
    binary = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", "Größe 5%".encode())]
    inbound = Inbound(b"{}", headers_of(binary), Sender("c"), NOON)
    (made,) = SOURCES["cloudevents"].read(inbound).made
    assert made.event.data.name == "Größe 5%"


@pytest.mark.parametrize(
    ("letter", "cut"),
    [
        pytest.param(record(b"x" * MOST_VALUE), False, id="just-fits"),
        pytest.param(record(b"x" * (MOST_VALUE + 1)), True, id="large-value"),
        pytest.param(record(b"x", key=b"k" * (MOST_AROUND + 1)), True, id="large-key"),
        pytest.param(record(b"x", headers=[("h", b"v" * MOST_AROUND)]), True, id="large-headers"),
        pytest.param(record(None, key=b"k"), False, id="tombstone"),
    ],
)
def test_a_dead_letter_fits_into_its_topic(letter: "ConsumerRecord[Any, Any]", cut: bool) -> None:
    """One that the broker refuses would be tried again for ever, and stop everything behind it."""
    made = dead_letter(letter, "it is odd")
    headers = dict(made.headers)
    size = len(made.key or b"") + len(made.value or b"") + sum(len(k) + len(v) for k, v in made.headers)
    assert size < 1024 * 1024
    assert ("original-size" in headers) is cut
    if not cut:
        assert (made.key, made.value) == (letter.key, letter.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param("{", "intake", id="no-json"),
        pytest.param('{"t": {"cluster": "c"}}', "SETPOINT_INTAKE.t.source: Field required", id="no-source"),
        pytest.param('{"t": {"source": "falco"}}', "either 'cluster'", id="no-cluster"),
        pytest.param('{"t": {"source": "f", "cluster": "c", "clusters": ["d"]}}', "either 'cluster'", id="both"),
        pytest.param('{"t": {"source": "f", "cluster": "c", "group": "g"}}', "SETPOINT_INTAKE.t.group", id="unknown"),
        pytest.param('{"t": {"source": "f", "cluster": "c", "lookBack": 5}}', "needs its unit", id="no-unit"),
        pytest.param('{"a b": {"source": "f", "cluster": "c"}}', "no topic's name", id="no-topic"),
        pytest.param('{"setpoint-drift": {"source": "f", "cluster": "c"}}', "Setpoint's own", id="our-own-topic"),
        pytest.param(
            '{"t": {"source": "falcon", "cluster": "c"}}', "no source 'falcon'. Known", id="no-source-of-ours"
        ),
        pytest.param('{"t": {"source": "falco", "cluster": "a/b"}}', "no cluster's name", id="no-clusters-name"),
    ],
)
def test_a_wrong_intake_is_said_at_the_start(said: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the topic and what would be right: a topic that is not read looks like one on which nothing happens."""
    monkeypatch.setenv("SETPOINT_INTAKE", said)
    clock = SystemClock()
    with pytest.raises(UsageError) as raised:
        intakes_of(
            load_settings(kafka="127.0.0.1:1"), SOURCES, clock=clock, health=Health("gateway", clock),
            metrics=Metrics("gateway"), log=get_log("gateway"),
        )  # fmt: skip
    assert words in str(raised.value)


def test_unreadable_is_never_quoted() -> None:
    """What is wrong is said in our words: a record may hold what its topic's readers alone may see."""
    with pytest.raises(Unreadable) as raised:
        SOURCES["falcosidekick"].read(Inbound(b'{"password": "hunter2"}', {}, Sender("c"), NOON))
    assert "hunter2" not in str(raised.value)
