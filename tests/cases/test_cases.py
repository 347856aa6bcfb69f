"""Every case of the suite on a real API server: what each engine says of the same live object, and who did it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.local.controlplane import LocalControlPlane
from tests.cases.case import Case, Verdict
from tests.cases.catalogue import all_cases
from tests.cases.play import Stage, play
from tests.watching import client_of
from tests.webhooks import serving

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with client_of(control_plane) as client, serving(control_plane) as webhooks:
        yield Stage(control_plane, client, webhooks, tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in all_cases()])
async def test_the_verdict_is_right_and_its_correction_works(case: Case, stage: Stage) -> None:
    """State, fields, kinds, writers and reason are right, each engine by itself and on the same live object.

    A correction of drift then leaves none, and leaves alone what is others'.
    """
    heard = await play(case, stage)
    assert plain(heard.dry_run) == plain(expected(case.expect)), f"dry-run: {case.title}"
    assert plain(heard.local) == plain(expected(case.expect_local)), f"local: {case.title}"
    assert heard.fix == case.expect_fix, f"correction: {case.title}"


def expected(verdict: Verdict) -> Verdict:
    """With one writer a field that still stands there."""
    writers = {path: verdict.writer(path) for path, kind in verdict.fields if kind != "removed"}
    return Verdict(verdict.state, verdict.fields, writers, verdict.reason)


def plain(verdict: Verdict) -> dict[str, object]:
    """In a form whose differences are easy to read."""
    writers = verdict.manager if isinstance(verdict.manager, dict) else {}
    return {
        "state": verdict.state, "fields": sorted(verdict.fields), "writers": writers, "reason": verdict.reason,
    }  # fmt: skip
