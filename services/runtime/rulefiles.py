"""Read what people lay down: the policies, maintenance windows and groups below a path, and the calendars they name.

Called by the services, which follow the files as they change, and by the commands that explain and test policies.
A calendar lies beside the document that names it, so that a folder can be mounted or copied whole; it is bounded in
size here, and in what it says where it is unrolled.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from stat import S_ISREG

from schemas.policy import Policy
from schemas.window import Group, MaintenanceWindow
from services.runtime.errors import FileProblem, UserFileError
from services.runtime.rules import Judge, Written, Wrong
from services.runtime.userfiles import Loaded, in_order, load_documents, scan
from services.runtime.yamlfile import dotted

ICS = ".ics"
MOST_CALENDAR = 1024 * 1024
CALENDAR = ("spec", "calendar")
RULE_KINDS = (Policy, MaintenanceWindow, Group)


def load_rules(path: Path, judge: Judge) -> Written:
    """The rules at or below `path`, which `judge` has nothing against. Raises UserFileError with all problems."""
    rules, problems = judged(load_documents(path), judge)
    if not problems and path.is_file() and rules == Written():
        fix = "write one, or name another file"
        problems = [FileProblem(str(path), 1, 1, "", "holds no Policy, MaintenanceWindow or Group", fix)]
    if problems:
        raise UserFileError(problems)
    return rules


def judged(entries: Iterable[Loaded], judge: Judge) -> tuple[Written, list[FileProblem]]:
    """The rules among these documents, and what is wrong with them."""
    mine = [entry for entry in entries if isinstance(entry.model, RULE_KINDS)]
    problems: list[FileProblem] = []
    calendars = {}
    for entry in mine:
        found = _calendar(entry)
        if isinstance(found, bytes):
            calendars[_name(entry)] = found
        elif found:
            problems.append(_problem(entry, found))
    rules = _written(mine, calendars)
    for entry in mine:
        if isinstance(entry.model, Policy | MaintenanceWindow):
            problems += [_problem(entry, wrong) for wrong in judge(entry.model, rules)]
    return rules, in_order(problems)


def rule_paths(path: Path) -> list[Path]:
    """`path` and the calendars that its windows name, for whoever watches for changes."""
    named = (calendar_file(entry) for entry in scan(path)[0])
    return list(dict.fromkeys([path, *(file for file in named if file)]))


def calendar_file(entry: Loaded) -> Path | None:
    """Where a window's calendar lies: beside its document, whatever else its name may look like."""
    if not isinstance(entry.model, MaintenanceWindow) or entry.model.spec.calendar is None:
        return None
    return entry.file.parent / Path(entry.model.spec.calendar).name


def _written(entries: list[Loaded], calendars: Mapping[str, bytes]) -> Written:
    models = [entry.model for entry in entries]
    policies = [model for model in models if isinstance(model, Policy)]
    windows = [model for model in models if isinstance(model, MaintenanceWindow)]
    groups = {model.name: frozenset(model.spec.members) for model in models if isinstance(model, Group)}
    return Written(
        tuple(sorted(policies, key=lambda one: one.name)), tuple(sorted(windows, key=lambda one: one.name)),
        calendars, groups,
    )  # fmt: skip


def _calendar(entry: Loaded) -> bytes | Wrong | None:
    """The bytes of the calendar that a window names, or why they cannot be had; None where it names none."""
    file = calendar_file(entry)
    if file is None:
        return None
    assert isinstance(entry.model, MaintenanceWindow)
    name = str(entry.model.spec.calendar)
    if name != file.name or file.suffix.lower() != ICS:
        return Wrong(
            CALENDAR, f"'{name}' names no file beside this one", f"write its name alone, such as holidays{ICS}"
        )
    try:
        found = file.stat()
        if not S_ISREG(found.st_mode) or found.st_size > MOST_CALENDAR:
            fix = f"export a calendar of at most {MOST_CALENDAR >> 20} MiB"
            return Wrong(CALENDAR, f"'{name}' is too large, or no regular file", fix)
        return file.read_bytes()
    except OSError as error:
        return Wrong(CALENDAR, f"'{name}' cannot be read: {error.strerror}", "put the file beside this one")


def _problem(entry: Loaded, wrong: Wrong) -> FileProblem:
    return entry.problem(wrong.path, dotted(wrong.path), wrong.message, wrong.fix)


def _name(entry: Loaded) -> str:
    assert isinstance(entry.model, RULE_KINDS)
    return entry.model.name
