"""Where the time of a correction goes, from what the events say and what the independent watch saw.

Times of different processes compare because they come from one machine's clock. The parts follow each other without
gaps, so that they add up; only medians of them are shown, which need not.
"""

from dataclasses import dataclass
from statistics import median

from benchmarks.figures import table
from benchmarks.topics import DECIDED, DETECTED, FINISHED, Told, unix

PARTS = {
    "watch": "PATCH answered → the drifted state on a watch (below 0: the watch was faster than the answer)",
    "check": "→ drift.detected is made: local check, server-side dry-run",
    "broker": "→ drift.detected is read from the broker",
    "decide": "→ decision.made: the reconciler's own read, step",
    "commit": "→ the action begins: the transaction",
    "plan": "→ planned: the object read again, dry-run",
    "apply": "→ the declared value on the independent watch",
}


@dataclass(frozen=True)
class Course:
    """One correction from outside: Unix times of the PATCH's answer, the first drifted and the first right state."""

    name: str
    answered: float
    left: float
    right: float


def parts_ms(course: Course, told: Told) -> dict[str, float] | None:
    """Milliseconds by part, and those after the correction; None where an event is missing."""
    name = course.name
    if not told.complete(name):
        return None
    detected, decided = told.time(DETECTED, name), told.time(DECIDED, name)
    finished = told.events[FINISHED][name]["data"]
    planned = course.right - finished["apply_ms"] / 1000
    points = (
        course.answered, course.left, detected, told.arrived[name], decided, planned - finished["plan_ms"] / 1000,
        planned, course.right,
    )  # fmt: skip
    spans = {part: (points[at + 1] - points[at]) * 1000 for at, part in enumerate(PARTS)}
    return {
        **spans,
        "total": (course.right - course.answered) * 1000,
        "verify": finished["verify_ms"],
        "recorded": (unix(finished["finished_at"]) - course.right) * 1000,
    }


def shown(courses: list[Course], told: Told) -> str:
    """The table of medians and 99th percentiles."""
    found = [parts for course in courses if (parts := parts_ms(course, told))]
    if not found:
        return "no correction left all of its events behind"
    words = {
        **PARTS, "total": "all of the above", "verify": "afterwards: the action's look at the stored object",
        "recorded": "afterwards: right → action.finished",
    }  # fmt: skip
    rows = [("part", "p50 ms", "p99 ms", "")]
    for part, what in words.items():
        values = [one[part] for one in found]
        rows.append((part, f"{median(values):.1f}", f"{percentile(values, 99):.1f}", what))
    return table(rows, right=(1, 2))


def percentile(values: list[float], percent: float) -> float:
    """Nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]
