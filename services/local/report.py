"""What a demo came to, as one value and as plain data."""

from dataclasses import dataclass
from typing import Any

from schemas.events import DecisionMade
from services.local.alertplay import AlertResult
from services.local.director import Result
from services.local.judging import find_field, key_decision
from services.local.scenes import Expected
from services.local.summary import Summary


@dataclass(frozen=True)
class Report:
    """The whole demo. `summary` is read back from ClickHouse; `further` is (what, command)."""

    results: tuple[Result, ...]
    summary: Summary
    further: tuple[tuple[str, str], ...]
    took_s: float
    kept: bool
    alerts: tuple[AlertResult, ...] = ()

    @property
    def good(self) -> int:
        """How many scenes ended as they state."""
        return sum(one.ok for one in self.results) + sum(one.ok for one in self.alerts)

    @property
    def scenes(self) -> int:
        """How many there were."""
        return len(self.results) + len(self.alerts)

    @property
    def ok(self) -> bool:
        """True when every scene ended as it states and the record is whole."""
        return self.good == self.scenes and not self.summary.missing


def as_data(report: Report) -> dict[str, Any]:
    """The report as `--output json` gives it."""
    return {
        "scenes": [_scene(result) for result in report.results],
        "alerts": [_alert(result) for result in report.alerts],
        "summary": {**report.summary.tables, "missing": report.summary.missing},
        "further": [{"what": what, "command": command} for what, command in report.further],
        "took_s": round(report.took_s, 3),
        "ok": report.ok,
    }


def _scene(result: Result) -> dict[str, Any]:
    scene, seen = result.scene, result.seen
    decision, field = key_decision(scene.expected, seen), find_field(scene.expected, seen.fields)
    return {
        "name": scene.name,
        "story": scene.story,
        "target": result.target.subject,
        "drift": seen.drift.state if seen.drift else None,
        "fields": [change.model_dump(mode="json") for change in seen.fields],
        "manager": field.manager if field else None,
        "decision": decision.verdict if decision else None,
        "reason": decision.reason if decision else None,
        "decisions": [{"verdict": one.verdict, "reason": one.reason} for one in seen.decisions],
        "outcome": seen.action.outcome if seen.action else None,
        "corrections": len(seen.finished),
        "time_to_correct_ms": round(seen.corrected_ms, 1) if seen.corrected_ms is not None else None,
        "expected": _expected(scene.expected),
        "ok": result.ok,
        "problems": list(result.problems),
    }


def _alert(result: AlertResult) -> dict[str, Any]:
    return {
        "name": result.scene.name,
        "story": result.scene.story,
        "decisions": [_decided(decision) for decision in result.decisions],
        "actions": [{"action": one.action, "outcome": one.outcome, "reason": one.reason} for one in result.finished],
        "alert_to_first_end_ms": round(result.effect_ms, 1) if result.effect_ms is not None else None,
        "ok": result.ok,
        "problems": list(result.problems),
    }


def _decided(decision: DecisionMade) -> dict[str, Any]:
    return {"policy": decision.policy, "verdict": decision.verdict, "reason": decision.reason}


def _expected(expected: Expected) -> dict[str, Any]:
    return {
        "drift": expected.state,
        "path": expected.path or None,
        "kind": expected.kind,
        "manager": expected.manager,
        "decisions": [{"verdict": one.verdict, "reason": one.reason} for one in expected.decisions],
        "outcome": expected.outcome,
        "ends": expected.ends,
    }
