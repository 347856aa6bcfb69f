"""Parts of the watcher's integration tests: a client, what goes over the topics, and a namespace and a name a test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from tests.watching import Client, Heard, client_of, hearing, random_name


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def heard(broker: LocalBroker) -> AsyncIterator[Heard]:
    await ensure_topics(Settings(kafka=broker.bootstrap))
    async with hearing(broker.bootstrap) as listening:
        yield listening


@pytest.fixture
async def namespace(client: Client) -> str:
    return await client.namespace()


@pytest.fixture
def name() -> str:
    """A cluster's name of this test's own, so that nothing on the shared topics is of another test."""
    return random_name("w")
