"""Show on stderr how far something is: a bar on a terminal, where it takes time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from services.local.progress import Progress as Tell
from services.local.progress import Step, StepState, about

BUSY = (StepState.BUILDING, StepState.WAITING)


@contextmanager
def shown_progress(console: Console) -> Iterator[Tell]:
    """A callback for `prepare…`. On a terminal a bar by expected time; elsewhere one line a step that takes time."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    said: set[str] = set()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None, visible=False)

        def tell(step: Step) -> None:
            bars.update(task, visible=step.state in BUSY, description=str(step))
            if step.state in BUSY and step.expected_s:
                bars.update(task, total=step.expected_s, completed=min(step.elapsed_s, step.expected_s))
            line = str(step)
            if (
                step.state is not StepState.READY
                and line not in said
                and (not console.is_terminal or step.state not in BUSY)
            ):
                said.add(line)
                console.print(_line(step), highlight=False)

        yield tell


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A callback that takes the number done so far; nothing is shown where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda count: bars.update(task, completed=count)


def _line(step: Step) -> str:
    if step.state is StepState.BUILDING and step.index == 1:
        return f"{step}: everything together {about(600)} on two cores, once; it may be interrupted"
    return str(step)
