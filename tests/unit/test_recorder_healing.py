"""Which hours are compared when a partition is taken up, and which differences are named by the proof."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.recorder import proof
from services.recorder.healing import recent
from services.recorder.intents import Place
from services.recorder.proof import prove_rollups
from services.recorder.rollups import EPOCH, ROLLUPS, Cut, Difference

PLACE = Place("b", "setpoint-changes", 0)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "kept", "since", "month"),
    [
        pytest.param("2026-11-24T12:34:56", None, "2026-11-24T11:00", "2026-11-01", id="inside-a-month"),
        pytest.param("2026-12-01T00:10:00", None, "2026-11-30T23:00", "2026-11-01", id="hours-of-two-months"),
        pytest.param("2026-12-02T00:30:00", None, "2026-12-01T23:00", "2026-11-01", id="a-clock-a-day-behind"),
        pytest.param("2026-12-02T02:30:00", None, "2026-12-02T01:00", "2026-12-01", id="a-month-alone"),
        pytest.param("2026-12-02T00:30:00", "2026-12-01", "2026-12-01T23:00", "2026-12-01", id="rows-that-are-dropped"),
    ],
)
def test_the_last_hours_are_of_few_months(now: str, kept: str | None, since: str, month: str) -> None:
    """The running hour and the one before it; of as few months as may hold their rows, and of none that is dropped."""
    assert recent(at(now), at(kept) if kept else EPOCH) == Cut(at(month), since=at(since))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[Difference]]:
    """What the first roll-up's next looks find; the others are right."""
    prepared: list[list[Difference]] = []

    async def found(_: Any, rollup: str, __: Cut) -> list[Difference]:
        return prepared.pop(0) if rollup == ROLLUPS[0] else []

    async def since(_: Any) -> datetime:
        return EPOCH

    monkeypatch.setattr(proof, "differences", found)
    monkeypatch.setattr(proof, "kept_since", since)
    return prepared


def differs(hour: int, rows: int = 7) -> Difference:
    return Difference(ROLLUPS[0], at(f"2026-11-24T{hour:02}:00"), PLACE, 5, rows)


async def proved() -> list[Difference]:
    async def no_time(_: float) -> None:
        return None

    store: Any = None
    return await prove_rollups(store, timedelta(days=8), no_time)


async def test_what_is_on_its_way_is_not_named(looks: list[list[Difference]]) -> None:
    """An insert's rows are there a moment before its numbers: an hour that agrees once is right."""
    looks += [[differs(11), differs(12)], [differs(12, rows=9)], []]
    assert await proved() == []
    assert not looks


async def test_what_differs_at_every_look_is_named(looks: list[list[Difference]]) -> None:
    """As it was seen last; what comes up only later had its numbers on the way."""
    looks += [[differs(12)], *([[differs(12, rows=9), differs(13)]] * (proof.LOOKS - 1))]
    assert await proved() == [differs(12, rows=9)]
    assert not looks
