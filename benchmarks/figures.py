"""The figures' names, units and aims, and how they are printed and written. The only list of them."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

OUT = Path(__file__).parent / "out" / "bench.json"


@dataclass(frozen=True)
class Aim:
    """What a figure should come to: at most or at least `bound`; None where a figure is only told."""

    unit: str
    bound: float | None = None
    at_least: bool = False

    def __str__(self) -> str:
        return "" if self.bound is None else f"{'≥' if self.at_least else '≤'} {self.bound:g}"

    def holds(self, value: float) -> bool | None:
        """Whether `value` meets it; None where nothing is asked."""
        if self.bound is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


AIMS = {
    "time_to_correct_p50": Aim("ms", 80),
    "time_to_correct_p95": Aim("ms"),
    "time_to_correct_p99": Aim("ms", 300),
    "storm_corrections_per_s": Aim("1/s", 100, at_least=True),
    "storm_cpu_per_correction": Aim("CPU s"),
    "rest_cpu_percent": Aim("% of a core", 3),
    "scan_objects_per_s": Aim("1/s", 3000, at_least=True),
    "watcher_bytes_per_object": Aim("B", 1024),
    "watcher_rss_2000": Aim("MiB", 120),
    "diff_objects_per_s_local": Aim("1/s"),
    "diff_objects_per_s_dry_run": Aim("1/s"),
    "start_50000_s": Aim("s"),
    "start_50000_peak_rss": Aim("MiB"),
    "start_50000_steady_rss": Aim("MiB"),
    "relist_20000_s": Aim("s"),
    "alert_to_effect_p50": Aim("ms", 35),
    "alert_to_effect_p99": Aim("ms", 150),
    "alert_burst_actions_per_s": Aim("1/s", 150, at_least=True),
    "gateway_alerts_per_s": Aim("1/s", 3000, at_least=True),
    "gateway_p99": Aim("ms"),
    "decisions_per_s": Aim("1/s", 5000, at_least=True),
    "alerts_lost": Aim("", 0),
    "alerts_doubled": Aim("", 0),
    "remote_write_samples_per_s": Aim("1/s", 50_000, at_least=True),
    "bytes_per_sample": Aim("B"),
    "record_to_insert_ratio": Aim("", 0.7, at_least=True),
    "record_to_faststream_ratio": Aim("", 3, at_least=True),
    "event_to_row_p50": Aim("s"),
    "event_to_row_p99": Aim("s", 1.5),
    "event_to_row_loaded_p50": Aim("s"),
    "event_to_row_loaded_p99": Aim("s", 3),
    "bytes_per_row": Aim("B"),
    "slowest_panel_week": Aim("ms", 300),
    "slowest_panel_90d": Aim("ms", 300),
}


@dataclass(frozen=True)
class Figure:
    """One measured value; `n` is how many single things it was measured over."""

    name: str
    value: float
    unit: str
    aim: str
    holds: bool | None
    n: int


def figure(name: str, value: float, n: int) -> Figure:
    """A value under its listed name. KeyError for a name that is not listed."""
    aim = AIMS[name]
    return Figure(name, round(value, 4), aim.unit, str(aim), aim.holds(value), n)


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text(encoding="utf-8").splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), model)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, load average {load}"


def table(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Rows as text in columns; those in `right` are aligned to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    at_right = set(right)
    lines = (
        "  ".join(
            cell.rjust(width) if at in at_right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def shown(figures: Iterable[Figure]) -> str:
    """The table of results."""
    words = {True: "yes", False: "NO", None: ""}
    rows = [("name", "value", "unit", "aim", "holds", "n")]
    rows += [(f.name, f"{f.value:.4g}", f.unit, f.aim, words[f.holds], str(f.n)) for f in figures]
    return table(rows, right=(1, 5))


def write(figures: Iterable[Figure], path: Path = OUT) -> None:
    """As JSON, for machines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(entry) for entry in figures], indent=1) + "\n", encoding="utf-8")
