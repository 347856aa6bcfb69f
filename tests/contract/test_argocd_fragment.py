"""The ConfigMap fragment for Argo CD and the source that reads what it makes Argo CD send: they must say the same.

The template's few functions (`dig`, `toJson`, `printf`) are evaluated here as Argo CD does it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.gateway.source import Inbound, Reading, Sender
from services.gateway.sources import SOURCES
from services.gateway.sources.argocd import FAILURES
from tests.contract.test_sources import NOON

FRAGMENT = yaml.safe_load((Path(__file__).parents[2] / "deploy/argocd/notifications.yaml").read_text(encoding="utf-8"))
DATA: dict[str, str] = FRAGMENT["data"]
VALUE = re.compile(r"\{\{ (.*?) \| toJson \}\}")
BEGAN = "2026-11-24T11:00:00Z"
HOSTILE = 'said "no"\n\tand {{ .went }} \\ away'


def application(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "0d9a1c8e-0000-4000-8000-000000000001"},
        "spec": {
            "project": "default",
            "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"},
        },
        "status": status,
    }


def rendered(app: dict[str, Any]) -> bytes:
    """The body that Argo CD posts for an Application."""
    body = yaml.safe_load(DATA["template.setpoint"])["webhook"]["setpoint"]["body"]
    return VALUE.sub(lambda found: json.dumps(evaluated(found[1], app)), body).encode()


def evaluated(expression: str, app: dict[str, Any]) -> Any:
    if expression.startswith("printf"):
        return f"https://argocd.example.org/applications/{app['metadata']['namespace']}/{app['metadata']['name']}"
    *path, default = re.findall(r'"([^"]*)"', expression)
    assert expression == " ".join(["dig", *(f'"{part}"' for part in (*path, default)), ".app"])
    found: Any = app
    for part in path:
        found = found.get(part, default) if isinstance(found, dict) else default
    return found


def read(app: dict[str, Any]) -> Reading:
    return SOURCES["argocd"].read(Inbound(rendered(app), {}, Sender("prod"), NOON))


@pytest.mark.parametrize(
    ("status", "name"),
    [
        pytest.param(
            {"health": {"status": "Degraded", "lastTransitionTime": BEGAN, "message": HOSTILE}},
            "ApplicationDegraded", id="degraded",
        ),
        pytest.param(
            {"operationState": {"phase": "Failed", "startedAt": BEGAN, "message": HOSTILE}},
            "ApplicationSyncFailed", id="sync-failed",
        ),
    ],
)  # fmt: skip
def test_a_failure_and_its_end_meet(status: dict[str, Any], name: str) -> None:
    """The end is found by what Argo CD noted of having told, under the names of the triggers."""
    (fired,) = read(application(**status)).made
    assert (fired.event.data.name, fired.event.data.target.name, fired.event.data.lasting) == (name, "shop", True)
    assert fired.event.data.summary.startswith('said "no"')
    trigger = next(failure.trigger for failure in FAILURES if failure.name == name)
    well = application(
        health={"status": "Healthy", "lastTransitionTime": "2026-11-24T11:30:00Z"},
        operationState={"phase": "Succeeded", "startedAt": "2026-11-24T11:30:00Z"},
    )
    note = json.dumps({f"{BEGAN}:{trigger}:[0].abc:setpoint:": 1795507200})
    well["metadata"]["annotations"] = {"notified.notifications.argoproj.io": note}
    (over,) = read(well).made
    assert over.event.data.alert_id == fired.event.data.alert_id


def test_an_application_without_anything_is_still_a_body() -> None:
    """Every key may be absent: a template that fails sends nothing at all."""
    assert read({"metadata": {"name": "shop", "namespace": "argocd"}}).made == ()


def test_every_trigger_is_there_sends_and_is_subscribed_to() -> None:
    """The source's own names among them."""
    triggers = {key.removeprefix("trigger.") for key in DATA if key.startswith("trigger.")}
    assert {failure.trigger for failure in FAILURES} <= triggers
    for name in triggers:
        assert all(
            condition["send"] == ["setpoint"] and condition["oncePer"]
            for condition in yaml.safe_load(DATA[f"trigger.{name}"])
        )
    (subscription,) = yaml.safe_load(DATA["subscriptions"])
    assert set(subscription["triggers"]) == triggers


def test_it_posts_with_a_token_to_the_sources_address() -> None:
    """GET would be the default, and would be answered with 405."""
    service = yaml.safe_load(DATA["service.webhook.setpoint"])
    assert service["url"].endswith("/v1/ingest/argocd/CLUSTER")
    assert {header["name"]: header["value"] for header in service["headers"]} == {
        "Authorization": "Bearer $setpoint-token", "Content-Type": "application/json"
    }  # fmt: skip
    assert yaml.safe_load(DATA["template.setpoint"])["webhook"]["setpoint"]["method"] == "POST"
