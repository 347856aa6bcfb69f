"""When rows are inserted."""

import dataclasses

from services.recorder.batches import TOGETHER, Batch, Limits, Portion, of_one_round, too_much
from services.recorder.rows import Made
from services.recorder.tables import EVENTS, AuditRow

LIMITS = Limits(rows=10, bytes=1000, age=1.0, age_caught_up=0.2, in_memory_rows=20, in_memory_bytes=5000)
ROW = Made(AuditRow(b"", "b", "t", 0, 0, 0))


def portion(records: int, *, first: int = 100, size: int = 1) -> Portion:
    made = Portion(first, first + records - 1)
    for _ in range(records):
        made.add(size, ROW)
    return made


def batch(records: int, *, size: int = 1, caught_up: bool = False) -> Batch:
    return Batch(portion(records, size=size), born=50.0, caught_up=caught_up)


def test_a_full_batch_is_due_at_once() -> None:
    """Rows or bytes, whichever comes first."""
    assert batch(10).due(50.0, LIMITS)
    assert batch(2, size=500).due(50.0, LIMITS)
    assert not batch(9).due(50.0, LIMITS)


def test_age_counts_sooner_once_caught_up() -> None:
    """Behind, batches grow for a second; caught up, history is there after a fifth of it."""
    assert not batch(1).due(50.5, LIMITS)
    assert batch(1).due(51.0, LIMITS)
    assert batch(1, caught_up=True).due(50.2, LIMITS)


def test_small_inserts_leave_the_engine_its_rest() -> None:
    """What is caught up waits for the end of the rest, at most until it is of full age; what is full does not."""
    young = batch(1, caught_up=True)
    assert not young.due(50.5, LIMITS, rested=50.6)
    assert young.due(50.6, LIMITS, rested=50.6)
    assert young.due(51.0, LIMITS, rested=90.0)
    assert batch(10, caught_up=True).due(50.0, LIMITS, rested=90.0)
    assert batch(1).due_at(LIMITS, rested=50.6) == 51.0  # behind: the age says it


def test_who_waits_waits_for_a_few_inserts_and_not_for_all() -> None:
    """A round takes the oldest few and whatever is full; the others are chosen from anew after it."""
    ready = {number: dataclasses.replace(batch(1), born=60.0 - number) for number in range(6)} | {9: batch(10)}
    assert of_one_round(ready, LIMITS) == [5, 4, 9]
    rounds = 0
    while ready:
        rounds += 1
        for number in of_one_round(ready, LIMITS):
            del ready[number]
    assert rounds == 6 / TOGETHER


def test_what_makes_no_rows_still_moves_the_span() -> None:
    """A tombstone or a dead letter is passed like everything else."""
    made, more = portion(3), Portion(105, 107)
    more.add(0, None)
    made.append(more)
    assert (made.span.first, made.span.last, made.records, len(made.rows[EVENTS])) == (100, 107, 4, 3)


def test_memory_is_bounded() -> None:
    """Reading stops at so many rows or bytes over all partitions."""
    assert not too_much([portion(9), portion(9)], LIMITS)
    assert too_much([portion(10), portion(10)], LIMITS)
    assert too_much([portion(1, size=5000)], LIMITS)
