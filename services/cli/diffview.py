"""Draw a comparison for people: an object a block, a field a line, who wrote it below, and the sum at the end."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from schemas.events import FindingReason
from services.cli.diffdata import Report

Row = Mapping[str, Any]

MARKS = {"changed": ("~", "yellow"), "removed": ("-", "red"), "added": ("+", "green")}
STATES = {"changed": "yellow", "missing": "red", "unwanted": "magenta"}
LONGEST = 60  # characters of a value
WIDEST_PATH = 64
MOST_LINES = 12  # of a text of several lines
WORDS = {"in-sync": "in sync", "unjudged": "not judged"}
SCALES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def show(console: Console, report: Report, now: datetime) -> None:
    """Print everything."""
    data = report.data()
    for text in _lines(report, data, now):
        console.print(text, soft_wrap=True, highlight=False)


def _lines(report: Report, data: Row, now: datetime) -> Iterator[Text]:
    server = f" ({report.server})" if report.server else ""
    yield Text.assemble(
        "Comparing ", (_baselines(report.names), "bold"), " with context ", (report.context, "bold"), server
    )
    for drift in data["drifts"]:
        yield Text()
        yield from _object(drift, now)
    if data["unjudged"]:
        yield Text("\nNot judged, nothing is done about these:", "bold")
    for drift in data["unjudged"]:
        yield from _unjudged(drift, now)
    yield Text()
    for note in data["notes"]:
        yield Text(f"note: {note}", "cyan")
    yield _summary(report, data)


def _baselines(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"baseline {names[0]}"
    return f"{len(names)} baselines" + (f" ({', '.join(names)})" if 0 < len(names) <= 5 else "")


def _title(drift: Row) -> Text:
    where = f"{drift['namespace']}/" if drift["namespace"] else ""
    return Text(f"{drift['kind']} {where}{drift['name']}  ", "bold")


def _source(drift: Row) -> Text:
    revision = f" at {_revision(drift['revision'])}" if drift["revision"] else ""
    place = f", {drift['file']}" + (f":{drift['line']}" if drift["line"] else "") if drift["file"] else ""
    return Text(f"  baseline {drift['baseline']}{revision}{place}", "dim")


def _revision(text: str) -> str:
    """A commit as people write it; anything else as it is."""
    commit, _, rest = text.partition("-")
    return text if len(commit) < 40 else commit[:10] + (f"-{rest}" if rest else "")


def _object(drift: Row, now: datetime) -> Iterator[Text]:
    yield _title(drift) + Text(drift["state"], STATES[drift["state"]]) + _source(drift)
    if drift["reason"] or drift["message"]:
        local = "judged locally, " if drift["reason"] and drift["engine"] == "local" else ""
        why = f"{drift['reason']}: " if drift["reason"] else ""
        yield Text(f"    {local}{why}{drift['message']}".rstrip(": "), "dim")
    yield from _fields(drift["fields"], now)


def _unjudged(drift: Row, now: datetime) -> Iterator[Text]:
    yield Text("  ") + _title(drift) + Text(drift["reason"], "cyan") + _source(drift)
    yield Text(f"    {drift['message']}")
    if drift["fix"]:
        yield Text(f"    to do: {drift['fix']}", "green")
    if drift["reason"] != FindingReason.UNKNOWN_FIELD:  # its message names them
        for line in _fields(drift["fields"], now):
            yield Text("  ") + line


def _fields(fields: Sequence[Row], now: datetime) -> Iterator[Text]:
    """Fields that one writer wrote at one time stand together, the writer below them."""
    order: list[Any] = []
    for row in fields:
        if _who(row) not in order:
            order.append(_who(row))
    width = min(WIDEST_PATH, max((len(row["at"]) for row in fields), default=0))
    for who, rows in groupby(sorted(fields, key=lambda row: order.index(_who(row))), key=_who):
        group = list(rows)
        for row in group:
            yield from _field(row, width)
        if who[0]:
            yield _writer(group[0], now)
        elif any(row["kind"] != "removed" for row in group):
            yield Text("      by whom is unknown: the object keeps no trace of it", "dim")


def _who(row: Row) -> tuple[Any, ...]:
    return row["manager"], row["since"], row["user"]


def _field(row: Row, width: int) -> Iterator[Text]:
    mark, style = MARKS[row["kind"]]
    head = Text(f"  {mark} {row['at']}", style)
    before, after = row["desired"], row["live"]
    several = [value for value in (before, after) if isinstance(value, str) and "\n" in value.rstrip("\n")]
    if several and all(isinstance(value, str | None) for value in (before, after)):
        yield head
        yield from _text_lines(before or "", after or "")
        return
    head.pad_right(max(0, width + 4 - len(head)) + 2)
    if row["kind"] == "added":
        head.append(short(_json(after)))
    elif row["kind"] == "removed":
        head.append(f"{short(_json(before))} → gone")
    else:
        left, right = contrast(_json(before), _json(after))
        head.append_text(Text.assemble((left, "red"), " → ", (right, "green")))
    yield head


def _text_lines(before: str, after: str) -> Iterator[Text]:
    styles = {"+": "green", "-": "red"}
    hunks = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    lines = ["…" if line.startswith("@@") else line for line in list(hunks)[3:]]
    for line in lines[:MOST_LINES]:
        yield Text(f"      {short(line, 2 * LONGEST)}", styles.get(line[:1], "dim"))
    if len(lines) > MOST_LINES:
        yield Text(f"      … {len(lines) - MOST_LINES} more lines", "dim")
    if not lines:
        yield Text("      only the end of the text or its line breaks differ", "dim")


def _writer(row: Row, now: datetime) -> Text:
    line = Text("      ")
    if row["by_hand"]:
        line.append("by hand: ", "bold magenta")
    else:
        line.append("by ", "magenta")
    line.append(str(row["manager"]), "magenta")
    if row["user"]:
        line.append(f" ({row['user']})", "magenta")
    if row["since"]:
        line.append(f", {ago(row['since'], now)} ({row['since']:%Y-%m-%d %H:%M:%SZ})", "dim")
    return line


def _summary(report: Report, data: Row) -> Text:
    found = report.found
    objects = found.checked + len(found.unjudged) + len(report.unwanted)
    parts = ", ".join(f"{count} {WORDS.get(name, name)}" for name, count in data["summary"].items())
    local = sum(drift["engine"] == "local" for drift in data["drifts"] if drift["state"] == "changed")
    engine = "dry-run" + (f", {local} judged locally" if local else "") if report.dry_run else "local"
    style = "green" if not report.differs and not found.unjudged else "bold"
    text = f"{objects} object{'s' * (objects != 1)} compared: {parts} · engine {engine} · {report.seconds:.1f} s"
    return Text(text, style)


def ago(since: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that gives a whole number."""
    seconds = (now - since).total_seconds()
    size, unit = next(((size, unit) for size, unit in SCALES if seconds >= size), (1, ""))
    return f"{int(seconds // size)} {unit} ago" if unit else "just now"


def short(text: str, longest: int = LONGEST) -> str:
    """A long text without its middle."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def contrast(before: str, after: str) -> tuple[str, str]:
    """Two values, cut so that the place where they part can be seen."""
    if max(len(before), len(after)) <= LONGEST:
        return before, after
    same = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), -1)
    start = min(len(before), len(after)) if same < 0 else same
    if start <= LONGEST // 3:
        return short(before), short(after)
    lead = "…" + before[start - LONGEST // 3 : start]
    return lead + short(before[start:], LONGEST - len(lead)), lead + short(after[start:], LONGEST - len(lead))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
