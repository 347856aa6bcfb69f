"""Parts of the recorder's integration tests: a broker whose topics nobody else writes to, and one engine a module."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from services.local.broker import LocalBroker
from services.local.prepare import Parts
from services.recorder.migrations import migrate
from services.recorder.store import ClickHouse, open_store
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_broker(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalBroker]:
    """A broker with Setpoint's topics, two partitions each."""
    started = LocalBroker(tmp_path_factory.mktemp("broker"), parts.kafka.jars, parts.kafka.java)
    await started.start()
    await ensure_topics(Settings(kafka=started.bootstrap, partitions=2))
    yield started
    await started.stop()


@pytest.fixture(scope="module")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that this process' engine may have open."""
    return tmp_path_factory.mktemp("engine")


@pytest_asyncio.fixture(loop_scope="session")
async def empty_store(engine_folder: Path) -> AsyncIterator[ClickHouse]:
    """A database of the test's own, without tables."""
    store = await open_store(f"chdb://{engine_folder}?database=test_{uuid4().hex[:8]}")
    yield store
    await store.close()


@pytest_asyncio.fixture(loop_scope="session")
async def store(empty_store: ClickHouse) -> ClickHouse:
    """A migrated database of the test's own."""
    await migrate(empty_store)
    return empty_store


@pytest.fixture
def settings(own_broker: LocalBroker, store: ClickHouse) -> Settings:
    """Settings with a consumer group of the test's own, so that it reads from the start."""
    return Settings(kafka=own_broker.bootstrap, clickhouse=store.url, group_prefix=f"test-{uuid4().hex[:8]}")
