"""One closed list of metrics; a failure that has not happened yet is 0 and not absent."""

from datetime import UTC, datetime
from typing import get_args

import pytest

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


def test_services_do_not_share_numbers() -> None:
    """Several services run in one process."""
    one, other = Metrics("watcher"), Metrics("watcher")
    one.inc("relists_total")
    assert b"setpoint_relists_total 0.0" in other.text()


def test_an_unknown_name_is_refused() -> None:
    """Also where mypy does not look."""
    with pytest.raises(KeyError):
        Metrics("watcher").inc("no_such_metric")  # type: ignore[arg-type]
