"""A recorder's process, engine included, killed in the middle of inserting samples."""

import asyncio
import random
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.runtime.kafka import admin, make_consumer, started
from tests.integration.recorder_parts import own_broker
from tests.integration.test_recorder_killed import SEED, ask, killed, start, works
from tests.recording import produce, until
from tests.sampled import expected, scrape

__all__ = ["own_broker"]
pytestmark = pytest.mark.integration
ROUNDS, SCRAPES = 8, 600
"""A round's scrapes are all there when its recorder starts, so that it inserts when it is killed."""


async def test_no_sample_is_missing_or_double_after_many_kills(own_broker: LocalBroker, tmp_path: Path) -> None:
    """At the end every sample is there once, every series has its labels, and every block its one row."""
    chance, prefix, log = random.Random(SEED), f"test-{uuid4().hex[:8]}", tmp_path / "recorder.log"
    print(f"seed {SEED}, log {log}")
    for number in range(ROUNDS):
        await feed(own_broker.bootstrap, number * SCRAPES)
        process = await start(own_broker.bootstrap, tmp_path / "engine", prefix, log)
        await until(lambda number=number: works(log, number + 1))  # type: ignore[misc]
        await asyncio.sleep(chance.random() * 0.3)
        await killed(process)
    process = await start(own_broker.bootstrap, tmp_path / "engine", prefix, log)
    try:
        await until(lambda: all_passed(own_broker.bootstrap, prefix), within=90)
    finally:
        await killed(process)
    mine = "series_id IN (SELECT series_id FROM series WHERE sender = 's-kill')"
    sums = f"SELECT count(), uniqExact(series_id), sum(value) FROM samples FINAL WHERE {mine}"
    count, series, total = expected(ROUNDS * SCRAPES)
    assert await ask(tmp_path / "engine", sums) == [[count, series, total]], SEED
    rows = await ask(tmp_path / "engine", "SELECT count(), uniqExact(kafka_offset), sum(samples) FROM sample_blocks")
    assert rows == [[ROUNDS * SCRAPES, ROUNDS * SCRAPES, count]], SEED
    labelled = "SELECT uniqExact(labels['n']), min(labels['job']) FROM series FINAL WHERE sender = 's-kill'"
    assert await ask(tmp_path / "engine", labelled) == [[series, "x"]], SEED
    assert "took up an open intent" in log.read_text(), "no kill hit the middle of an insert: the rounds prove nothing"


async def feed(bootstrap: str, first: int) -> None:
    await produce(bootstrap, [block for step in range(first, first + SCRAPES) for block in scrape("s-kill", step)])


async def all_passed(bootstrap: str, prefix: str) -> bool:
    """Nothing announced is open, and everything produced is passed."""
    wanted = [TopicPartition(str(TopicName.SAMPLES), number) for number in (0, 1)]
    async with started(admin(bootstrap)) as client:
        commits = await client.list_consumer_group_offsets(f"{prefix}-recorder", partitions=wanted)
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        ends = await consumer.end_offsets(wanted)
    return all(
        not commits[partition].metadata and max(commits[partition].offset, 0) == ends[partition] for partition in wanted
    )
