"""Have the local parts ready to start: from `$KUBEBUILDER_ASSETS`, from the cache, or built now, in this order.

Each part is a step of its own, so that progress can be shown and an interruption loses one step at most. As a script
it prepares everything, for those who want the wait now: `python -m services.local.prepare`.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from services.local import builds
from services.local.cache import obtain
from services.local.folders import cache_root
from services.local.progress import Progress, Reporter, Step, StepState, silent
from services.local.tools import deploy_folder, find_java
from services.runtime.errors import SetpointError


@dataclass(frozen=True)
class KafkaParts:
    """What `LocalBroker` needs: the folder of jars and a Java."""

    jars: Path
    java: Path


@dataclass(frozen=True)
class ControlPlaneParts:
    """What `LocalControlPlane` needs: each binary's path by name, and kwok's stages in one file."""

    binaries: Mapping[str, Path]
    stages: Path

    @property
    def kubectl(self) -> Path:
        return self.binaries["kubectl"]


@dataclass(frozen=True)
class Parts:
    kafka: KafkaParts
    control_plane: ControlPlaneParts


STAGES_PART = "kwok-stages"

Make = Callable[[Path, Path, Path], Awaitable[None]]
"""Fills a folder, from the build files' folder, with its output in a log file."""


@dataclass(frozen=True)
class Recipe:
    """One part: its entry in the cache, a first build's seconds, and the name in the entry that is wanted."""

    name: str
    key: str
    expected_s: float
    result: str
    make: Make


async def prepare_kafka(progress: Progress = silent, root: Path | None = None) -> KafkaParts:
    """Jars and Java of the local broker. Permanent, in one line, when a tool is missing."""
    java, deploy = find_java(), deploy_folder()
    made = await _prepare_all([_jars(deploy)], deploy, progress, root or cache_root())
    return KafkaParts(made["kafka"], java)


async def prepare_control_plane(
    progress: Progress = silent, root: Path | None = None, environ: Mapping[str, str] = os.environ
) -> ControlPlaneParts:
    """Binaries and stages of the throwaway control plane."""
    deploy, given = deploy_folder(), assets(environ)
    made = await _prepare_all(_control_plane(given, deploy), deploy, progress, root or cache_root())
    return _control_plane_parts(given, made)


async def prepare_everything(
    progress: Progress = silent, root: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Parts:
    """Both, with steps counted over both."""
    java, deploy, given = find_java(), deploy_folder(), assets(environ)
    made = await _prepare_all([_jars(deploy), *_control_plane(given, deploy)], deploy, progress, root or cache_root())
    return Parts(KafkaParts(made["kafka"], java), _control_plane_parts(given, made))


def assets(environ: Mapping[str, str]) -> dict[str, Path]:
    """The control plane's binaries that `$KUBEBUILDER_ASSETS` has, by name."""
    named = environ.get("KUBEBUILDER_ASSETS")
    candidates = {tool.name: Path(named) / tool.name for tool in builds.GO_TOOLS} if named else {}
    return {name: path for name, path in candidates.items() if path.is_file() and os.access(path, os.X_OK)}


def _jars(deploy: Path) -> Recipe:
    return Recipe("kafka", builds.jars_key(deploy), 15, "lib", builds.make_jars)


def _control_plane(given: Mapping[str, Path], deploy: Path) -> list[Recipe]:
    tools = [
        Recipe(tool.name, builds.tool_key(tool, deploy), tool.expected_s, tool.name, partial(builds.make_tool, tool))
        for tool in builds.GO_TOOLS
        if tool.name not in given
    ]
    stages = Recipe(STAGES_PART, builds.stages_key(deploy), 5, builds.STAGES, builds.make_stages)
    return [*tools, stages]


def _control_plane_parts(given: Mapping[str, Path], made: Mapping[str, Path]) -> ControlPlaneParts:
    return ControlPlaneParts({tool.name: {**made, **given}[tool.name] for tool in builds.GO_TOOLS}, made[STAGES_PART])


async def _prepare_all(recipes: list[Recipe], deploy: Path, progress: Progress, root: Path) -> dict[str, Path]:
    """One after the other: two Go builds at once would need twice the memory and be no faster."""
    made = {}
    for index, recipe in enumerate(recipes, start=1):
        step = Step(recipe.name, index, len(recipes), StepState.READY, expected_s=recipe.expected_s)
        made[recipe.name] = await _prepare(recipe, deploy, Reporter(progress, step), root)
    return made


async def _prepare(recipe: Recipe, deploy: Path, reporter: Reporter, root: Path) -> Path:
    state = StepState.READY

    async def build(folder: Path) -> None:
        nonlocal state
        state = StepState.BUILT
        reporter.tell(StepState.BUILDING)
        await recipe.make(folder, deploy, _build_log(root, recipe.name))

    try:
        async with reporter.ticking():
            entry = await obtain(root, recipe.name, recipe.key, build, lambda: reporter.tell(StepState.WAITING))
    except BaseException:
        reporter.tell(StepState.FAILED)
        raise
    reporter.tell(state)
    return entry / recipe.result


def _build_log(root: Path, name: str) -> Path:
    log = root / "logs" / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def main() -> int:
    """Prepare everything, one line a change of state."""
    told: list[str] = []

    def show(step: Step) -> None:
        line = str(step)
        if line not in told:
            told.append(line)
            print(line, file=sys.stderr, flush=True)

    try:
        asyncio.run(prepare_everything(show))
    except SetpointError as error:
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted; what was built so far is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
