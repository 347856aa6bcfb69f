"""One field a test. `SETPOINT_CHAOS_SEED` plays a failed run's random choices again."""

import os
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.local.controlplane import LocalControlPlane
from services.local.folders import RunFolder
from services.local.prepare import Parts
from tests.chaos.harness import Field, open_field


@pytest.fixture(scope="session")
def seed() -> int:
    """Of every random choice in this session."""
    given = os.environ.get("SETPOINT_CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def frail_plane(parts: Parts, session_folder: RunFolder) -> AsyncIterator[LocalControlPlane]:
    """A control plane whose API server may be killed."""
    started = LocalControlPlane(session_folder.path / "frail", parts.control_plane.binaries, parts.control_plane.stages)
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def battle(
    parts: Parts, control_plane: LocalControlPlane, session_folder: RunFolder, seed: int
) -> AsyncIterator[Field]:
    """A field on the session's control plane, which nobody kills."""
    async with open_field(parts, control_plane, session_folder.path, seed) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def frail_battle(
    parts: Parts, frail_plane: LocalControlPlane, session_folder: RunFolder, seed: int
) -> AsyncIterator[Field]:
    """A field whose API server may be killed."""
    async with open_field(parts, frail_plane, session_folder.path, seed) as opened:
        yield opened
