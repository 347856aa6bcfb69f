"""Policies, windows and groups in a folder, followed by a reconciler on the real parts while somebody edits them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.approvals import AnswerKind, ApprovalClosed, ApprovalRefused, ApprovalRequested, RefusedAnswer
from schemas.base import rfc3339
from schemas.events import ActionFinished, DecisionMade, Outcome, Reason, Verdict
from schemas.target import Target
from services.kube.declaration.sources import rule_source
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.reconciler.policies.checking import wrongs
from services.reconciler.service import run_reconciler
from services.runtime.clock import SystemClock
from services.runtime.logging import get_log
from services.runtime.tasks import background
from tests.fakes import eventually
from tests.reacting import Reacting, reacting
from tests.watching import Client

pytestmark = pytest.mark.integration
HEAD = "apiVersion: setpoint.dev/v1alpha1\n"
POLICY = HEAD + (
    "kind: Policy\nmetadata: {{name: mark}}\nspec:\n  trigger: {{alert: Trouble}}\n  mode: enforce\n"
    "  match: {{namespace: [{namespace}]}}\n  do: [{{label: {{set: {{seen: 'yes'}}}}}}]\n"
)
GROUP = HEAD + "kind: Group\nmetadata: {{name: oncall}}\nspec: {{members: [{member}]}}\n"
WINDOW = HEAD + "kind: MaintenanceWindow\nmetadata: {{name: now}}\nspec: {{from: '{since}', until: '{until}'}}\n"


@asynccontextmanager
async def following(one: Reacting, folder: Path) -> AsyncIterator[None]:
    """With a reconciler that takes its rules from a folder, as the services do."""
    stop = asyncio.Event()
    one.health.require("partitions", lambda: "not started yet")
    rules = rule_source(one.settings.model_copy(update={"policies": folder}), wrongs)
    service = run_reconciler(
        one.settings, cluster=one.cluster, declared=dict, rules=rules, clock=one.clock, health=one.health,
        metrics=one.metrics, log=get_log("reconciler"), stop=stop,
    )  # fmt: skip
    async with background(service):
        await eventually(lambda: not one.health.problems(), what="the reconciler is ready")
        yield
        stop.set()
        await asyncio.sleep(0)


async def config_map(one: Reacting) -> Target:
    client = Client(one.cluster)
    namespace = await client.namespace()
    await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}})
    return Target(cluster=one.name, group="", kind="ConfigMap", namespace=namespace, name="a")


async def test_a_window_holds_for_as_long_as_its_document_is_there(
    broker: LocalBroker, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """An alert inside it waits; once the file is gone it is answered, by what was decided on before."""
    now = SystemClock().now()
    window = WINDOW.format(since=rfc3339(now - timedelta(days=1)), until=rfc3339(now + timedelta(days=1)))
    (tmp_path / "window.yaml").write_text(window)
    async with reacting(broker, control_plane) as one:
        target = await config_map(one)
        (tmp_path / "policy.yaml").write_text(POLICY.format(namespace=target.namespace))
        async with following(one, tmp_path):
            await one.tell(one.alert(target))
            (held,) = await one.until(DecisionMade)
            assert (held.verdict, held.reason) == (Verdict.WAIT, Reason.MAINTENANCE)
            (tmp_path / "window.yaml").unlink()
            (finished,) = await one.until(ActionFinished)
            assert finished.outcome is Outcome.SUCCEEDED


async def test_who_is_in_a_group_is_asked_of_its_document(
    broker: LocalBroker, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Somebody who joins while a question is open may answer it; before that the answer is refused."""
    async with reacting(broker, control_plane) as one:
        target = await config_map(one)
        asking = POLICY.format(namespace=target.namespace) + "  approve: {by: ['group:oncall']}\n"
        (tmp_path / "policy.yaml").write_text(asking)
        (tmp_path / "group.yaml").write_text(GROUP.format(member="ben"))
        async with following(one, tmp_path):
            await one.tell(one.alert(target))
            (asked,) = await one.until(ApprovalRequested)
            await one.answer(asked, AnswerKind.APPROVE, by="ann")
            (refused,) = await one.until(ApprovalRefused)
            assert refused.why is RefusedAnswer.NOT_AN_APPROVER
            (tmp_path / "group.yaml").write_text(GROUP.format(member="ann"))

            async def counts() -> bool:
                await one.answer(asked, AnswerKind.APPROVE, by="ann")
                return bool(await one.all_of(ApprovalClosed))

            await eventually(counts, what="the new member's answer counts")
            (finished,) = await one.until(ActionFinished)
            assert finished.outcome is Outcome.SUCCEEDED
