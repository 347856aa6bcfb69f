"""`setpoint check`: are the baselines, policies and settings right? Reaches nothing but files."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from services.cli.options import EXISTING
from services.cli.printing import output_option, print_data
from services.kube.declaration.baselines import load_baselines
from services.reconciler.policies.checking import wrongs
from services.reconciler.policies.linting import Warned, lint
from services.runtime.errors import FileProblem, SetpointError, UserFileError
from services.runtime.rulefiles import load_rules
from services.runtime.rules import Written
from services.runtime.settings import load_settings


@click.command(
    name="check",
    epilog="Example: setpoint check --baselines ./platform --policies ./policies --strict",
    short_help="check baselines, policies and settings",
)
@click.option("--baselines", type=EXISTING, help="File or folder with Baseline documents.")
@click.option("--policies", type=EXISTING, help="File or folder with Policy, MaintenanceWindow and Group documents.")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@output_option
def command(baselines: Path | None, policies: Path | None, strict: bool, output: str) -> int:
    """Read everything as the services would, and name each problem with file, line, field and fix.

    Policies that can never decide, that an earlier one always comes before, that work against each other or that act
    without any bound are warned of. Settings come from the environment (SETPOINT_…). Exit code 1 where anything is
    wrong.
    """
    settings = load_settings(baselines=baselines, policies=policies)
    found: dict[str, int] = {}
    problems: list[FileProblem] = []
    warnings: tuple[Warned, ...] = ()
    names: list[str] = []
    if settings.baselines:
        problems += _try(lambda: names.extend(_baselines(Path(str(settings.baselines)), found)))
    if settings.policies:
        rules, wrong = _rules(Path(str(settings.policies)), found)
        problems += wrong
        warnings = lint(rules.policies, frozenset(names) if names else None)
    _print(found, problems, warnings, output)
    return 1 if problems or (strict and warnings) else 0


def _baselines(path: Path, found: dict[str, int]) -> tuple[str, ...]:
    """The baselines' names."""
    state = load_baselines(path)
    found.update(baselines=len(state.names), objects=len(state.objects))
    asked = sum(baseline.spec.source.in_cluster for baseline in state.baselines)
    if asked:
        found["sources that only a cluster can answer"] = asked
    return state.names


def _rules(path: Path, found: dict[str, int]) -> tuple[Written, list[FileProblem]]:
    """The rules, none where something of them is wrong."""
    read: list[Written] = []
    problems = _try(lambda: read.append(load_rules(path, wrongs)))
    rules = read[0] if read else Written()
    if read:
        found["policies"] = len(rules.policies)
        others = {"windows": len(rules.windows), "groups": len(rules.groups)}
        found.update({name: count for name, count in others.items() if count})
    return rules, problems


def _try(load: Callable[[], None]) -> list[FileProblem]:
    try:
        load()
    except UserFileError as error:
        return error.problems
    except (SetpointError, OSError) as error:
        return [FileProblem("", 0, 0, "", str(error))]
    return []


def _print(found: dict[str, int], problems: list[FileProblem], warnings: tuple[Warned, ...], output: str) -> None:
    if output != "table":
        rows = {"problems": [asdict(one) for one in problems], "warnings": [asdict(one) for one in warnings]}
        print_data({"found": found, **rows}, output)
        return
    for problem in problems:
        click.echo(str(problem))
    for warned in warnings:
        click.echo(f"warning: {warned.policy}: {warned.lint}: {warned.message} ({warned.fix})")
    what = ", ".join(f"{count} {name}" for name, count in found.items())
    what = what or ("read" if problems else "no files were named")
    counted = [_counted(len(problems), "problem"), _counted(len(warnings), "warning")]
    click.echo(f"{what}: {', '.join(one for one in counted if one) or 'all good'}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}" if count else ""
