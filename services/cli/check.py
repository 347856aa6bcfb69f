"""`setpoint check`: are the baselines, policies and settings right? Reaches nothing but files."""

from pathlib import Path
from typing import Any

import click

from services.cli.options import EXISTING
from services.cli.printing import output_option, print_data
from services.kube.declaration.baselines import load_baselines
from services.runtime.errors import FileProblem, SetpointError, UserFileError
from services.runtime.settings import load_settings
from services.runtime.userfiles import load_policies


@click.command(
    name="check",
    epilog="Example: setpoint check --baselines ./platform --policies ./policies",
    short_help="check baselines, policies and settings",
)
@click.option("--baselines", type=EXISTING, help="File or folder with Baseline documents.")
@click.option("--policies", type=EXISTING, help="File or folder with Policy documents.")
@output_option
def command(baselines: Path | None, policies: Path | None, output: str) -> int:
    """Read everything as the services would, and name each problem with file, line, field and fix.

    Settings come from the environment (SETPOINT_…). Exit code 1 when anything is wrong.
    """
    settings = load_settings(baselines=baselines, policies=policies)
    found: dict[str, int] = {}
    problems: list[FileProblem] = []
    if settings.baselines:
        problems += _try(lambda: _baselines(Path(str(settings.baselines)), found))
    if settings.policies:
        problems += _try(lambda: found.update(policies=len(load_policies(Path(str(settings.policies))))))
    _print(found, problems, output)
    return 1 if problems else 0


def _baselines(path: Path, found: dict[str, int]) -> None:
    state = load_baselines(path)
    found.update(baselines=len(state.names), objects=len(state.objects))
    asked = sum(baseline.spec.source.in_cluster for baseline in state.baselines)
    if asked:
        found["sources that only a cluster can answer"] = asked


def _try(load: Any) -> list[FileProblem]:
    try:
        load()
    except UserFileError as error:
        return error.problems
    except (SetpointError, OSError) as error:
        return [FileProblem("", 0, 0, "", str(error))]
    return []


def _print(found: dict[str, int], problems: list[FileProblem], output: str) -> None:
    if output != "table":
        print_data({"found": found, "problems": [problem.__dict__ for problem in problems]}, output)
        return
    for problem in problems:
        click.echo(str(problem))
    what = ", ".join(f"{count} {name}" for name, count in found.items()) or "no files were named"
    click.echo(f"{what}: {len(problems)} problem{'s' * (len(problems) != 1)}" if problems else f"{what}: all good")
