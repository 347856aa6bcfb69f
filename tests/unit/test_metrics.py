"""One closed list of metrics; a failure that has not happened yet is 0 and not absent."""

import os
import socket
from datetime import UTC, datetime
from typing import get_args

import pytest

from services.runtime.instance import this_instance
from services.runtime.metrics import BY_SERVICE, EVERYWHERE, METRICS, Metrics, Name


def test_the_list_is_the_type() -> None:
    """Each name is described once, and each description has a name that mypy knows."""
    assert set(METRICS) == set(get_args(Name))
    assert sum(map(len, [*BY_SERVICE.values(), EVERYWHERE])) == len(METRICS)
    assert all(metric.help and (not metric.start or len(metric.labels) == 1) for metric in METRICS.values())


@pytest.mark.parametrize("service", BY_SERVICE)
def test_a_service_shows_its_metrics_from_the_start(service: str) -> None:
    """All that it can count stands at 0 before anything happened."""
    text = Metrics(service).text().decode()
    for name, metric in BY_SERVICE[service].items():
        assert f"# HELP setpoint_{name.removesuffix('_total')}" in text
        for value in metric.start:
            assert f'setpoint_{name}{{{metric.labels[0]}="{value}"}} 0.0' in text
        if metric.type == "counter" and not metric.labels:
            assert f"setpoint_{name} 0.0" in text


def test_counters_gauges_and_histograms_keep_what_they_are_told() -> None:
    """And come out as samples with their labels."""
    metrics = Metrics("watcher")
    metrics.inc("relists_total")
    metrics.inc("changes_total", 2, operation="created")
    metrics.set("open_drifts", 3, baseline="b")
    metrics.observe("check_seconds", 0.25)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    found = {(sample.name, *sample.labels.values()): sample.value for sample in metrics.sampled(now).samples}
    assert found["setpoint_relists_total",] == 1
    assert found["setpoint_changes_total", "created"] == 2
    assert found["setpoint_open_drifts", "b"] == 3
    assert (found["setpoint_check_seconds_sum",], found["setpoint_check_seconds_count",]) == (0.25, 1)
    assert not [name for name, *_ in found if name.endswith(("_bucket", "_created"))]


def test_two_processes_of_a_service_are_two_series() -> None:
    """Recorded samples say whose they are; the page that is scraped leaves that to whoever scrapes it."""
    one, other = Metrics("recorder", "pod-a"), Metrics("recorder", "pod-b")
    now = datetime(2026, 11, 24, tzinfo=UTC)
    for metrics, lag in ((one, 5), (other, 7)):
        metrics.set("record_lag", lag, topic="setpoint-drift")
    samples = [*one.sampled(now).samples, *other.sampled(now).samples]
    lags = {sample.labels["instance"]: sample.value for sample in samples if sample.name == "setpoint_record_lag"}
    assert lags == {"pod-a": 5, "pod-b": 7}
    assert all("instance" in sample.labels for sample in samples)
    assert b"instance" not in one.text()


@pytest.mark.parametrize(
    ("process", "name"), [pytest.param(1, "pod-a", id="container"), pytest.param(77, "pod-a:77", id="host")]
)
def test_a_process_is_named_by_its_host(monkeypatch: pytest.MonkeyPatch, process: int, name: str) -> None:
    """A pod's own name; on a host with several processes of one service, each has its own."""
    monkeypatch.setattr(socket, "gethostname", lambda: "pod-a")
    monkeypatch.setattr(os, "getpid", lambda: process)
    assert this_instance() == name


def test_services_do_not_share_numbers() -> None:
    """Several services run in one process."""
    one, other = Metrics("watcher"), Metrics("watcher")
    one.inc("relists_total")
    assert b"setpoint_relists_total 0.0" in other.text()


def test_an_unknown_name_is_refused() -> None:
    """Also where mypy does not look."""
    with pytest.raises(KeyError):
        Metrics("watcher").inc("no_such_metric")  # type: ignore[arg-type]
