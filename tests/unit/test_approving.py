"""Questions and answers of the command line, without a broker: which one is meant, what is shown, what is sent."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.approvals import (
    AnswerKind,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
    RefusedAnswer,
)
from schemas.base import EventModel
from schemas.events import make_event
from services.cli import approving
from services.cli.approvals import row
from services.cli.approving import TOKEN, Wish, answered, confirm, shown, wish_of
from services.cli.main import main
from services.cli.questions import Questions, ending, find, printable
from services.runtime.errors import UsageError
from tests.reconciler_kit import NOON, target_of

ONE, TWO = "aaaa1111" * 4, "aaaa2222" * 4
WISH = Wish(ONE, AnswerKind.APPROVE, "fine", "ann", True, False, None, "b:1", None)
GIVEN: dict[str, Any] = {
    "id": ONE, "note": "", "by": None, "yes": True, "wait": False, "cluster": None, "kafka": "b:1", "gateway": None,
}  # fmt: skip


def requested(id: str = ONE, cluster: str = "c1", **more: Any) -> ApprovalRequested:
    values = {
        "approval_id": id, "target": target_of(cluster=cluster), "decision_id": "d", "policy": "restart",
        "action": "restart", "why": "it loops", "plan": "rolls 3 pods", "plan_hash": "h", "by": ("group:sre",),
        "asked_at": NOON, "ends_at": NOON + timedelta(minutes=30),
    }  # fmt: skip
    return ApprovalRequested.model_validate(values | more)


def closed(id: str = ONE, outcome: ApprovalEnd = ApprovalEnd.APPROVED) -> ApprovalClosed:
    return ApprovalClosed(approval_id=id, target=target_of(), outcome=outcome, by=("ann",), at=NOON, note="go")


def refused(id: str = ONE) -> ApprovalRefused:
    why = RefusedAnswer.NOT_AN_APPROVER
    return ApprovalRefused(approval_id=id, target=target_of(), by="eve", via="cli", at=NOON, why=why)


def told(*said: EventModel) -> Questions:
    """A topic that holds these."""
    questions = Questions()
    for number, data in enumerate(said):
        event = make_event(data, id=f"e{number}", source="s", subject="c1/x", time=NOON, correlationid="a1")
        questions.take(event.model_dump_json().encode())
    return questions


@pytest.mark.parametrize(
    ("said", "prefix", "expected"),
    [
        pytest.param([requested(), requested(TWO)], "aaaa1", ONE, id="the only one that begins so"),
        pytest.param([requested(), requested(TWO), closed(TWO)], "aaaa", ONE, id="the only one that is open"),
        pytest.param([requested(), requested()], "aaaa", ONE, id="one that was told twice"),
        pytest.param([requested(), requested(TWO)], ONE, ONE, id="in full"),
    ],
)
def test_a_question_is_found_by_the_beginning_of_its_id(said: list[EventModel], prefix: str, expected: str) -> None:
    """People copy some letters from the list."""
    assert find(told(*said).of(), prefix, NOON).id == expected


@pytest.mark.parametrize(
    ("said", "prefix", "words"),
    [
        pytest.param([requested()], "bbbb", r"no question begins with 'bbbb'\. Open are aaaa1111 \(restart", id="none"),
        pytest.param([], "bbbb", "None is open now", id="none at all"),
        pytest.param([requested(), requested(TWO)], "aaaa", "2 questions begin with 'aaaa': aaaa1111", id="two"),
        pytest.param([requested()], "aaa", "too short", id="too short"),
        pytest.param([requested()], "", "too short", id="nothing"),
        pytest.param([requested(), closed(), requested(TWO)], ONE,
                     r"is over: approved by ann at 2026-11-24 12:00:00 UTC: go\. Open are aaaa2222", id="closed"),
        pytest.param([requested(ends_at=NOON)], "aaaa", "is over: nobody answered until .* which means no", id="ended"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_says_what_can(said: list[EventModel], prefix: str, words: str) -> None:
    """Never the nearest one instead: an approval is for one plan."""
    with pytest.raises(UsageError, match=words):
        find(told(*said).of(), prefix, NOON)


def test_the_first_end_is_the_end() -> None:
    """A question is closed once; a record of another cluster's, or one that cannot be read, changes nothing."""
    questions = told(requested(), refused(), closed(), closed(outcome=ApprovalEnd.DENIED), closed(TWO))
    assert questions.take(b"{") is None
    assert questions.take(None) is None
    (question,) = questions.of("c1")
    assert questions.of("c2") == []
    assert ending(question).startswith("approved by ann")
    assert row(question, NOON) | {"plan": "", "target": ""} == {
        "id": ONE, "cluster": "c1", "target": "", "policy": "restart", "action": "restart", "why": "it loops",
        "plan": "", "asked_at": NOON, "ends_at": NOON + timedelta(minutes=30), "by": ["group:sre"], "needed": 1,
        "outcome": "approved", "answered_by": ["ann"], "refused": ["eve: not-an-approver"],
    }  # fmt: skip


def test_the_whole_plan_is_shown_and_nothing_that_moves_the_cursor() -> None:
    """An alert's text must not be able to hide the plan from whoever approves it."""
    evil = requested(why="fine\x1b[2J\x1b[1;1H", plan="line 1\nline 2\x1b[8m\rdelete everything\u202e")
    text = shown(told(evil).of()[0])
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "\n  line 1\n  line 2" in text
    assert "delete everything" in text


@given(st.text())
def test_printable_text_stays_and_the_rest_does_not(text: str) -> None:
    """As many letters as before, each itself or a replacement."""
    clean = printable(text)
    assert len(clean) == len(text)
    assert all(after in (before, "\ufffd") for before, after in zip(text, clean, strict=True))
    assert all(letter.isprintable() or letter == "\n" for letter in clean)


def test_the_same_answer_is_the_same_event() -> None:
    """Sent twice, it counts once; another person's, and the opposite, are other answers."""
    asked = told(requested()).of()[0].event
    first = answered(asked, WISH, NOON)
    assert answered(asked, WISH, NOON + timedelta(seconds=9)).id == first.id
    assert len({first.id, *(answered(asked, other, NOON).id for other in (
        replace(WISH, by="bob"), replace(WISH, answer=AnswerKind.DENY)
    ))}) == 3  # fmt: skip
    assert (first.data.by, first.data.via, first.data.cluster, first.data.note) == ("ann", "cli", "c1", "fine")
    assert (first.correlationid, first.causationid, first.subject) == ("a1", asked.id, asked.subject)


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that forgot --yes gets an error, and an approval is never sent by accident."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    confirm(WISH)
    with pytest.raises(UsageError, match="Give --yes"):
        confirm(replace(WISH, yes=False))


@pytest.mark.parametrize(
    ("given", "token", "words"),
    [
        pytest.param({"gateway": "http://g"}, "", f"{TOKEN} is not set", id="no token"),
        pytest.param({"gateway": "http://g", "by": "ann"}, "t", "exclude each other", id="another's name"),
        pytest.param({"gateway": "http://g", "kafka": None, "wait": True}, "t", "stands on the broker", id="wait"),
        pytest.param({"kafka": None}, "t", "no broker was named", id="no broker"),
    ],
)
def test_what_cannot_go_together_is_refused(
    given: dict[str, Any], token: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read or sent."""
    monkeypatch.setenv(TOKEN, token)
    monkeypatch.delenv("SETPOINT_KAFKA", raising=False)
    monkeypatch.setattr(approving, "the_running", lambda _: None)
    with pytest.raises(UsageError, match=words):
        wish_of(AnswerKind.APPROVE, GIVEN | given)


@pytest.mark.parametrize(
    "more", [pytest.param(["--cluster", "c1"], id="a part of the id"), pytest.param([], id="no cluster")]
)
def test_without_a_broker_the_question_is_named_in_full(
    more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be looked up cannot be completed."""
    monkeypatch.setenv(TOKEN, "t")
    monkeypatch.delenv("SETPOINT_KAFKA", raising=False)
    monkeypatch.setattr(approving, "the_running", lambda _: None)
    id = ONE if not more else ONE[:8]
    assert main(["approve", id, "--gateway", "http://127.0.0.1:1", "--yes", *more]) == 2
    assert "Give its whole id and --cluster NAME" in capsys.readouterr().err
