"""The real parts, one of each a test session, started by the first test that asks for them.

A broken part fails the tests that need it, with its log's last lines. The run's folder stays when something failed.
"""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.folders import RunFolder, cache_root, run_folder
from services.local.prepare import Parts, prepare_everything
from services.local.progress import Step

logger = logging.getLogger(__name__)


def log_step(step: Step) -> None:
    logger.info("%s", step)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parts() -> Parts:
    """Jars and binaries, from the cache; built if this is the first time."""
    return await prepare_everything(log_step)


@pytest.fixture(scope="session")
def session_folder(request: pytest.FixtureRequest) -> Iterator[RunFolder]:
    """The session's run folder, with the parts' logs; kept when a test failed."""
    with run_folder(cache_root()) as folder:
        yield folder
        if request.session.testsfailed:
            folder.keep("tests failed")
            logger.warning("the parts' logs are in %s", folder.logs)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(parts: Parts, session_folder: RunFolder) -> AsyncIterator[LocalBroker]:
    """The session's one broker; make topics of your own. Tests that stop it start a broker of their own instead."""
    started = LocalBroker(session_folder.path, parts.kafka.jars, parts.kafka.java)
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def control_plane(parts: Parts, session_folder: RunFolder) -> AsyncIterator[LocalControlPlane]:
    """The session's one control plane, with three nodes; make namespaces of your own."""
    started = LocalControlPlane(session_folder.path, parts.control_plane.binaries, parts.control_plane.stages)
    await started.start()
    yield started
    await started.stop()
