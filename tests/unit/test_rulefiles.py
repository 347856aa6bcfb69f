"""Policies, windows, groups and calendars from files: all of them or the reasons, and the last good ones meanwhile."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.kube.declaration.sources import rule_source
from services.reconciler.policies.checking import wrongs
from services.reconciler.policies.rulebook import LOOK_S, Rulebooks
from services.runtime.errors import UserFileError
from services.runtime.logging import get_log
from services.runtime.rulefiles import MOST_CALENDAR, load_rules, rule_paths
from services.runtime.rules import Written
from services.runtime.settings import Settings
from tests.fakes import StillClock

HEAD = "apiVersion: setpoint.dev/v1alpha1\n"
POLICY = HEAD + "kind: Policy\nmetadata: {name: heal}\nspec:\n  trigger: {drift: {baseline: payments}}\n"
GROUP = HEAD + "kind: Group\nmetadata: {name: oncall}\nspec: {members: [ana, ben]}\n"
WINDOW = HEAD + "kind: MaintenanceWindow\nmetadata: {name: holidays}\nspec: {calendar: holidays.ics}\n"
CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    "DTSTART:20261224T000000Z\r\nDTEND:20261227T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def write(path: Path, *documents: str) -> Path:
    path.write_text("---\n".join(documents), encoding="utf-8")
    return path


def problems_of(path: Path) -> list[tuple[int, str, str, str]]:
    """(line, field, message, fix) of every problem."""
    with pytest.raises(UserFileError) as caught:
        load_rules(path, wrongs)
    return [(one.line, one.field, one.message, one.fix) for one in caught.value.problems]


def test_all_kinds_of_rules_are_read_from_one_folder(tmp_path: Path) -> None:
    """With the calendar that lies beside the document, and whatever else lies there left alone."""
    write(tmp_path / "people.yaml", GROUP)
    write(tmp_path / "rules.yaml", POLICY, WINDOW)
    (tmp_path / "holidays.ics").write_bytes(CALENDAR.encode())
    (tmp_path / "other.ics").write_text("none of ours")
    rules = load_rules(tmp_path, wrongs)
    assert [policy.name for policy in rules.policies] == ["heal"]
    assert [window.name for window in rules.windows] == ["holidays"]
    assert rules.calendars == {"holidays": CALENDAR.encode()}
    assert rules.groups == {"oncall": frozenset({"ana", "ben"})}


def test_policies_come_sorted_by_name(tmp_path: Path) -> None:
    """The first policy that matches, by name, decides: so names are the order, not files."""
    write(tmp_path / "a.yaml", POLICY.replace("heal", "zebra"))
    write(tmp_path / "b.yaml", POLICY.replace("heal", "ant"), GROUP)
    assert [policy.name for policy in load_rules(tmp_path, wrongs).policies] == ["ant", "zebra"]


def test_a_file_without_any_rule_is_an_error(tmp_path: Path) -> None:
    """Who names a file means something by it."""
    baseline = HEAD + "kind: Baseline\nmetadata: {name: payments}\nspec: {source: {folder: ./payments}}\n"
    file = write(tmp_path / "a.yaml", baseline)
    assert [message for _, _, message, _ in problems_of(file)] == ["holds no Policy, MaintenanceWindow or Group"]


def test_two_groups_of_one_name_are_an_error(tmp_path: Path) -> None:
    """Else who may approve would depend on the order of files."""
    file = write(tmp_path / "a.yaml", GROUP, GROUP)
    assert problems_of(file)[0][2] == f"Group 'oncall' is already declared at {file}:1"


@pytest.mark.parametrize(
    ("name", "content", "message", "fix"),
    [
        pytest.param("holidays.ics", None, "'holidays.ics' cannot be read: No such file or directory",
                     "put the file beside this one", id="not there"),
        pytest.param("../holidays.ics", CALENDAR, "'../holidays.ics' names no file beside this one",
                     "write its name alone, such as holidays.ics", id="elsewhere"),
        pytest.param("holidays.txt", CALENDAR, "'holidays.txt' names no file beside this one",
                     "write its name alone, such as holidays.ics", id="no calendar by its name"),
        pytest.param("holidays.ics", "x" * (MOST_CALENDAR + 1), "'holidays.ics' is too large, or no regular file",
                     "export a calendar of at most 1 MiB", id="too large"),
        pytest.param("holidays.ics", CALENDAR.replace("DTSTART", "DTSTRAT"),
                     "the event '1' has no DTSTART", "Export the calendar anew", id="not usable"),
        pytest.param("holidays.ics", CALENDAR.replace("DTSTART:20261224T000000Z", "DTSTART:202600\r\nRRULE:FREQ=DAILY"),
                     "the calendar is none that can be read: AttributeError", "Export the calendar anew", id="mangled"),
    ],
)  # fmt: skip
def test_a_calendar_that_cannot_be_used_is_told_at_its_field(
    name: str, content: str | None, message: str, fix: str, tmp_path: Path
) -> None:
    """It is read beside its document only, and never more than a bounded size of it."""
    if content is not None:
        (tmp_path / Path(name).name).write_text(content, newline="")
    file = write(tmp_path / "a.yaml", WINDOW.replace("holidays.ics", name))
    assert problems_of(file) == [(4, "spec.calendar", message, fix)]


def test_a_calendar_that_is_a_device_is_not_read(tmp_path: Path) -> None:
    """A read of it would never end."""
    os.mkfifo(tmp_path / "holidays.ics")
    assert "no regular file" in problems_of(write(tmp_path / "a.yaml", WINDOW))[0][2]


def test_a_calendar_beside_a_single_file_is_watched_too(tmp_path: Path) -> None:
    """The path that is named may be the document alone."""
    file = write(tmp_path / "a.yaml", WINDOW)
    assert rule_paths(file) == [file, tmp_path / "holidays.ics"]


def test_rules_are_followed_and_the_last_good_ones_kept(tmp_path: Path) -> None:
    """What cannot work never comes into force, and is told once; a calendar that changes does."""
    file = write(tmp_path / "a.yaml", WINDOW, GROUP)
    (tmp_path / "holidays.ics").write_text(CALENDAR, newline="")
    current = rule_source(Settings(policies=file), wrongs)
    first = current()
    assert current() is first
    asking = POLICY.replace("drift: {baseline: payments}", "alert: Bad") + "  do: [{restart: {}}]\n"
    write(file, WINDOW, GROUP, asking + "  approve: {by: ['group:nobody']}\n")
    with capture_logs() as said:
        assert (current(), current()) == (first, first)
    assert [(one["log_level"], one["event"]) for one in said] == [("warning", "the rules of before stay in force")]
    assert "unknown group 'nobody'" in said[0]["error"]
    write(file, WINDOW, GROUP, POLICY)
    assert [policy.name for policy in current().policies] == ["heal"]
    (tmp_path / "holidays.ics").write_text(CALENDAR.replace("1224", "1223"), newline="")
    assert b"1223" in current().calendars["holidays"]


def test_what_is_read_is_what_decisions_are_made_with(tmp_path: Path) -> None:
    """A window and a group of a folder are in the rulebook that guards and approvals ask, as long as they are there."""
    file = write(tmp_path / "a.yaml", WINDOW, GROUP, POLICY)
    (tmp_path / "holidays.ics").write_text(CALENDAR, newline="")
    clock = StillClock()
    rulebooks = Rulebooks(rule_source(Settings(policies=tmp_path), wrongs), clock, get_log("test"))
    first = rulebooks()
    assert first.windows[0].open_until(datetime(2026, 12, 25, tzinfo=UTC)) == datetime(2026, 12, 27, tzinfo=UTC)
    assert first.groups == {"oncall": frozenset({"ana", "ben"})}
    assert rulebooks() is first
    write(file, POLICY)
    clock.advance(LOOK_S)
    assert (rulebooks().windows, rulebooks().groups) == ((), {})


def test_no_files_mean_no_rules() -> None:
    """Nothing is done where nobody said what."""
    assert rule_source(Settings(), wrongs)() == Written()
