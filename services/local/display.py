"""Show the demo to a person on a terminal, or give it as data. Called by the director and `services/local/demo.py`.

Scenes may play at the same time; each one's lines are shown together, live for the scene whose turn it is, and held
back for the others. Nothing here decides anything.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.events import ActionFinished, DecisionMade, DriftDetected, Event, FieldChange, Reason, Verdict
from services.local.alertplay import AlertResult
from services.local.alertscenes import AlertScene
from services.local.director import Result
from services.local.judging import find_field, key_decision
from services.local.report import Report, as_data
from services.local.scenes import Scene

LONGEST = 48  # characters of one value
VERDICT_STYLE = {Verdict.ACT: "green", Verdict.DENY: "red", Verdict.WAIT: "yellow", Verdict.OBSERVE: "cyan"}


class Display(Protocol):
    """Where the demo goes."""

    def open(self, scenes: Sequence[Scene]) -> None:
        """The scenes are about to play, to be shown in this order."""

    def happened(self, scene: Scene, event: Event[Any], after_s: float) -> None:
        """Setpoint said something about a scene's target, `after_s` seconds into the scene."""

    def end(self, result: Result) -> None:
        """A scene is over."""

    def alert_open(self, number: int, scene: AlertScene) -> None:
        """A scene on alerts begins."""

    def alert_said(self, text: str, after_s: float) -> None:
        """One line of it, with markup."""

    def alert_end(self, result: AlertResult) -> None:
        """It is over."""

    def finish(self, report: Report) -> None:
        """All of it is over."""


class DataDisplay:
    """`--output json`: nothing on the way, one JSON document at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def open(self, scenes: Sequence[Scene]) -> None:
        pass

    def happened(self, scene: Scene, event: Event[Any], after_s: float) -> None:
        pass

    def end(self, result: Result) -> None:
        pass

    def alert_open(self, number: int, scene: AlertScene) -> None:
        pass

    def alert_said(self, text: str, after_s: float) -> None:
        pass

    def alert_end(self, result: AlertResult) -> None:
        pass

    def finish(self, report: Report) -> None:
        text = json.dumps(as_data(report), indent=2, ensure_ascii=False, default=str)
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class TextDisplay:
    """For people. Colours only where the console has them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.waiting: list[Scene] = []
        self.held: dict[str, list[str]] = {}
        self.over: set[str] = set()

    def open(self, scenes: Sequence[Scene]) -> None:
        self.waiting = list(scenes)
        self.held = {scene.name: _heading(number, scene) for number, scene in enumerate(scenes, 1)}
        self._flush()

    def happened(self, scene: Scene, event: Event[Any], after_s: float) -> None:
        text = describe(scene, event)
        if text:
            self.held[scene.name].append(f"  [dim]{after_s:6.2f} s[/dim]  {text}")
            self._flush()

    def end(self, result: Result) -> None:
        self.held[result.scene.name] += [_verdict(result), ""]
        self.over.add(result.scene.name)
        self._flush()

    def alert_open(self, number: int, scene: AlertScene) -> None:
        self._print(f"[bold]{number:2}  {escape(scene.name)}[/bold]", f"      {escape(scene.story)}")

    def alert_said(self, text: str, after_s: float) -> None:
        self._print(f"  [dim]{after_s:6.2f} s[/dim]  {text}")

    def alert_end(self, result: AlertResult) -> None:
        bad = (f"  [bold red]✗[/] {escape(problem)}" for problem in result.problems)
        self._print(*bad, *([f"  [bold green]✓[/] {escape(result.scene.meaning)}"] if result.ok else []), "")

    def finish(self, report: Report) -> None:
        self.console.print(_table(report.results), "")
        if report.alerts:
            self.console.print(alert_table(report.alerts), "")
        for title, rows in report.summary.tables.items():
            if rows:
                self.console.print(_rows(title, rows), "")
        if report.summary.missing:
            self.console.print(
                f"[bold red]{report.summary.missing} decisions and outcomes are missing in ClickHouse[/]"
            )
        self._further(report)
        style = "green" if report.ok else "red"
        self.console.print(
            f"[bold {style}]{report.good} of {report.scenes} scenes ended as stated[/], {report.took_s:.1f} s in all"
        )

    def _further(self, report: Report) -> None:
        self.console.print("[bold]To look further[/bold]" + ("" if report.kept else " (with 'setpoint demo --keep')"))
        for what, command in report.further:
            self.console.print(f"  [dim]{escape(what)}[/dim]", highlight=False)
            self.console.print(f"    {escape(command)}", highlight=False, soft_wrap=True)
        self.console.print()

    def _flush(self) -> None:
        """Print what is held of the first scene that is not over, and of those before it."""
        while self.waiting:
            name = self.waiting[0].name
            lines, self.held[name] = self.held[name], []
            self._print(*lines)
            if name not in self.over:
                return
            self.waiting.pop(0)

    def _print(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, highlight=False, soft_wrap=True)


def describe(scene: Scene, event: Event[Any]) -> str | None:
    """One event in a few words with markup; None for what a person need not see."""
    data = event.data
    if isinstance(data, DriftDetected):
        return _drift(scene, data)
    if isinstance(data, DecisionMade):
        return _decision(data)
    if isinstance(data, ActionFinished):
        style = "green" if data.outcome == "succeeded" else "red"
        return f"action    {escape(data.action)}: [{style}]{data.outcome}[/] ({data.reason})"
    return None


def _decision(decision: DecisionMade) -> str:
    """`act (policy heal-payments)`, `wait: paused (policy heal-checkout)`."""
    why = "" if decision.reason is Reason.POLICY else f": {decision.reason}"
    by = f" (policy {escape(decision.policy)})" if decision.policy else ""
    return f"decision  [{VERDICT_STYLE.get(decision.verdict, 'bold')}]{decision.verdict}{why}[/]{by}"


def value_text(value: Any) -> str:
    """A value as short JSON; the end counts most in images and paths, so the start gives way."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else "…" + text[1 - LONGEST :]


def change_text(field: FieldChange) -> str:
    """`before → after` of one field."""
    before = "not declared" if field.kind == "added" else value_text(field.desired)
    after = "gone" if field.kind == "removed" else value_text(field.live)
    return f"{before} → {after}"


def _drift(scene: Scene, drift: DriftDetected) -> str:
    if drift.state == "missing":
        return "drift     the object is gone"
    field = find_field(scene.expected, drift.fields) or next(iter(drift.fields), None)
    if field is None:
        return "drift     no field named"
    more = f" and {len(drift.fields) - 1} more" if len(drift.fields) > 1 else ""
    return (
        f"drift     [bold]{escape(field.path)}[/bold]: {escape(change_text(field))}{more}"
        f", by [magenta]{escape(field.manager or 'unknown')}[/magenta]"
    )


def _heading(number: int, scene: Scene) -> list[str]:
    thing = scene.thing
    where = f"{thing.namespace}/{thing.kind}/{thing.name}"
    return [f"[bold]{number:2}  {escape(scene.name)}[/bold]  {where}", f"      {escape(scene.story)}"]


def _verdict(result: Result) -> str:
    if not result.ok:
        return "\n".join(f"  [bold red]✗[/] {escape(problem)}" for problem in result.problems)
    took = result.seen.corrected_ms
    tail = f", [bold]{took:.0f} ms[/bold] after the change" if took is not None else ""
    return f"  [bold green]✓[/] {escape(result.scene.meaning)}{tail}"


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="What was seen", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("", "scene", "who", "decision", "outcome"):
        table.add_column(name, overflow="fold")
    table.add_column("corrected in", justify="right")
    for result in results:
        table.add_row(*_row(result))
    return table


def _row(result: Result) -> tuple[str, ...]:
    expected, seen = result.scene.expected, result.seen
    decision, field = key_decision(expected, seen), find_field(expected, seen.fields)
    return (
        "[green]✓[/]" if result.ok else "[red]✗[/]",
        escape(result.scene.name),
        escape((field.manager if field else None) or ("unknown" if seen.drift else "–")),
        _short(decision) if decision else "no drift",
        _outcome(result),
        f"{seen.corrected_ms:.0f} ms" if seen.corrected_ms is not None else "–",
    )


def _short(decision: DecisionMade) -> str:
    return str(decision.verdict) + ("" if decision.reason is Reason.POLICY else f": {decision.reason}")


def _outcome(result: Result) -> str:
    seen = result.seen
    if seen.action is None:
        return "–"
    return str(seen.action.outcome) + (f", {len(seen.finished)} times" if len(seen.finished) > 1 else "")


def alert_table(results: Sequence[AlertResult]) -> Table:
    """What the scenes on alerts came to."""
    table = Table(title="What alerts came to", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("", "scene", "decisions", "actions"):
        table.add_column(name, overflow="fold")
    table.add_column("first end after", justify="right")
    for result in results:
        decisions = Counter(str(made.reason) for made in result.decisions if made.policy)
        actions = Counter(f"{done.action} {done.outcome}" for done in result.finished)
        table.add_row(
            "[green]✓[/]" if result.ok else "[red]✗[/]", escape(result.scene.name), _counts(decisions),
            _counts(actions), f"{result.effect_ms:.0f} ms" if result.effect_ms is not None else "–",
        )  # fmt: skip
    return table


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {word}" if count > 1 else word for word, count in counts.items())


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    names = list(rows[0])
    for name in names:
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*(escape("" if row[name] is None else str(row[name])) for name in names))
    return table
