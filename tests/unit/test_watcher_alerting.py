"""What stands around the watchers that tell alerts: which of them run, and what they read back."""

from typing import Any, cast

import orjson
import pytest
import structlog
from aiokafka import AIOKafkaProducer

from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.watcher.alerting import alert_watchers
from services.watcher.alerts_told import Said, said
from services.watcher.falco.lines import read
from tests.fake_api import fake_api
from tests.fakes import NOON, StillClock
from tests.falco_logs import alert


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        pytest.param({}, ["watch_trouble", "follow_falco"], id="both-by-themselves"),
        pytest.param({"trouble": False}, ["follow_falco"], id="no-trouble"),
        pytest.param({"falco": False}, ["watch_trouble"], id="no-falco"),
        pytest.param({"falco": False, "trouble": False}, [], id="none"),
    ],
)
def test_watchers_run_as_the_settings_say(wanted: dict[str, bool], names: list[str]) -> None:
    """On unless switched off: they need nothing in the cluster but rights to read."""
    api, _ = fake_api([])
    settings, producer = Settings(kafka="127.0.0.1:1", **wanted), cast(AIOKafkaProducer, None)  # type: ignore[arg-type]
    around: dict[str, Any] = {"clock": StillClock(), "metrics": Metrics("watcher"), "log": structlog.get_logger()}
    parts = alert_watchers(settings, api.cluster, producer, 6, **around)
    try:
        assert [getattr(part, "__name__", "") for part in parts] == names
    finally:
        for part in parts:
            part.close()


def test_of_what_was_said_only_this_clusters_counts() -> None:
    """By its own words; another cluster shares the partition."""
    event = read(alert(1), "prod", NOON)
    assert not isinstance(event, str)
    value = event.model_dump_json().encode()
    assert said(value, "prod") == Said(event.id, "setpoint/watcher/falco", "falco", value)
    assert said(value, "staging") is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"7", b'{"data":7}', orjson.dumps({"data": {"target": []}})])
def test_a_record_that_cannot_be_read_is_passed_over(value: bytes | None) -> None:
    """It is for its consumers' dead letters, and must not keep a watcher from starting."""
    assert said(value, "prod") is None
