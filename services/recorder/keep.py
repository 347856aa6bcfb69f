"""Make sure that the engine holds every row of a span, once. Used where an insert may have happened before.

A plain MergeTree writes its deduplication log before the part: an engine that dies in between acknowledges the repeated
insert and keeps nothing. So nothing is believed here: count, insert what is missing, count again. The whole span goes
in under its own token (a late twin of the same insert is dropped then), parts of it under repair tokens.
The same death can keep rows without their numbers in the roll-ups, so these are compared in the hours of the span, and
counted again where they differ.
"""

from collections.abc import Mapping, Sequence

from services.recorder.intents import Place, Span, token
from services.recorder.retention import as_kept
from services.recorder.rollups import agree
from services.recorder.store import Store
from services.recorder.tables import EVENTS, Row, Table, expired, key_of
from services.runtime.clock import Clock
from services.runtime.errors import Temporary

SETTLE_S = 1.0
"""How long a twin of the insert, still on its way from a stopped owner, gets to show up before rows are put back."""
MOST_REPAIRS = 20

Rows = Mapping[Table, Sequence[Row]]


async def insert_rows(store: Store, place: Place, span: Span, rows: Rows, repair: int = 0) -> None:
    """Insert under the span's token, table by table. Raises Temporary."""
    for table, some in rows.items():
        if some:
            await store.insert(table, some, token(place, span, repair))


async def keep(store: Store, place: Place, span: Span, rows: Rows, clock: Clock) -> int:
    """Leave exactly these rows in the span, and roll-ups that agree; how many rows had to be put back after an insert
    that did not keep them.

    Raises Temporary when ClickHouse is away, or acknowledges again and again what it does not keep.
    """
    put_back = 0
    for table, some in rows.items():
        kept = await as_kept(store, table) if table.key else table
        put_back += await _keep_table(
            store, place, span, table, [row for row in some if not expired(kept, row, clock.now())], clock
        )
    if rows.get(EVENTS):
        await agree(store, place, span, clock.sleep)
    return put_back


async def _keep_table(store: Store, place: Place, span: Span, table: Table, rows: Sequence[Row], clock: Clock) -> int:
    if not rows:
        return 0
    if not table.key:  # keeps one of equal rows by itself
        await insert_rows(store, place, span, {table: rows})
        return 0
    missing = await _missing(store, place, span, table, rows)
    if len(missing) == len(rows):
        await insert_rows(store, place, span, {table: rows})
        missing = await _missing(store, place, span, table, rows)
    put_back = 0
    for repair in range(1, MOST_REPAIRS + 1):
        if not missing:
            return put_back
        await clock.sleep(SETTLE_S)
        missing = await _missing(store, place, span, table, missing)
        await insert_rows(store, place, span, {table: missing}, repair)
        put_back += len(missing)
        missing = await _missing(store, place, span, table, missing)
    raise Temporary(
        f"ClickHouse acknowledges rows of {place.topic}:{place.partition}:{span} and does not keep them; "
        f"is the TTL of {table.name} shorter than these records are old?"
    )


async def _missing(store: Store, place: Place, span: Span, table: Table, rows: Sequence[Row]) -> list[Row]:
    found = set(await store.query(_present_sql(table), _parameters(place, span)))
    return [row for row in rows if key_of(table, row) not in found]


def _present_sql(table: Table) -> str:
    return (
        f"SELECT {', '.join(table.key)} FROM {table.name} "
        "WHERE broker = {broker:String} AND topic = {topic:String} AND kafka_partition = {partition:UInt16} "
        "AND kafka_offset BETWEEN {first:UInt64} AND {last:UInt64} SETTINGS select_sequential_consistency = 1"
    )


def _parameters(place: Place, span: Span) -> dict[str, object]:
    return {
        "broker": place.broker,
        "topic": place.topic,
        "partition": place.partition,
        "first": span.first,
        "last": span.last,
    }
