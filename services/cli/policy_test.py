"""`setpoint policy test DIR`: golden cases, which say what policies are expected to make of an event."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from services.cli.options import EXISTING
from services.cli.policy_rules import event_of, policies_option, read_event, rules_at
from services.cli.printing import output_option, print_data
from services.reconciler.policies.explaining import Decided
from services.reconciler.policies.golden import Differs, GoldenCase, ReadEvent, differences, play
from services.runtime.errors import FileProblem, UsageError, UserFileError
from services.runtime.filechecks import validate
from services.runtime.filetree import files_below
from services.runtime.settings import load_settings
from services.runtime.yamlfile import read_file

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Ran:
    """One case, what came of it, and what of that was not expected."""

    file: str
    line: int
    name: str
    found: Decided
    differs: tuple[Differs, ...]


@click.command(
    name="test", epilog="Example: setpoint policy test ./policies/tests --policies ./policies",
    short_help="run golden cases",
)  # fmt: skip
@click.argument("folder", metavar="DIR", type=EXISTING)
@policies_option
@output_option
def test(folder: Path, policies: Path | None, output: str) -> int:
    """Run every golden case in DIR (a folder, or one file) and show what is not as expected.

    Without --policies and SETPOINT_POLICIES the policies in DIR itself are meant. Exit code 1 where anything differs.
    docs/policies.md has the format.
    """
    rules, settings = rules_at(policies or load_settings().policies or folder)
    protected = frozenset(settings.protected_namespaces)
    ran = [
        _ran(file, line, case, play(case, rules, _reader(file), protected)) for file, line, case in cases_below(folder)
    ]
    if not ran:
        raise UsageError(f"{folder} holds no golden case", "Write one; docs/policies.md has an example")
    failed = [one for one in ran if one.differs]
    if output != "table":
        print_data([asdict(one) for one in ran], output)
    else:
        for one in failed:
            _show(one)
        click.echo(f"{len(ran)} cases: {f'{len(failed)} not as expected' if failed else 'all as expected'}")
    return 1 if failed else 0


def cases_below(folder: Path) -> Iterator[tuple[Path, int, GoldenCase]]:
    """Every case with its place. Raises UserFileError with all that is wrong in any."""
    found: list[tuple[Path, int, GoldenCase]] = []
    problems: list[FileProblem] = []
    for file in files_below(folder, SUFFIXES):
        documents, wrong = read_file(file)
        problems += wrong
        for value, line, node in documents:
            if not isinstance(value, dict) or "apiVersion" in value:
                continue  # a policy, or somebody else's
            case = validate(GoldenCase, value, str(file), node)
            if isinstance(case, GoldenCase):
                found.append((file, line, case))
            elif isinstance(case, list):
                problems += case
    if problems:
        raise UserFileError(problems)
    yield from found


def _reader(file: Path) -> ReadEvent:
    def read(given: str | dict[str, Any]) -> Any:
        return read_event(file.parent / given) if isinstance(given, str) else event_of(given, str(file))

    return read


def _ran(file: Path, line: int, case: GoldenCase, found: Decided) -> Ran:
    return Ran(str(file), line, case.name or f"case at line {line}", found, differences(case.expect, found))


def _show(ran: Ran) -> None:
    click.echo(f"{ran.file}:{ran.line}: {ran.name}")
    for one in ran.differs:
        click.echo(f"  {one.field}\n    - expected {one.expected}\n    + found    {one.found}")
    if ran.found.message:
        click.echo(f"  because {ran.found.message}")
