"""`python -m benchmarks [NAME…]`: measure, print a table, write benchmarks/out/bench.json. `ONLY` in the environment
does what the arguments do. Figures, not tests: the exit code is 0 also where an aim is missed.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType

from benchmarks import (
    burst,
    correct,
    decisions,
    diffing,
    effect,
    event_to_row,
    figures,
    gateway,
    killed,
    panels,
    recording,
    relist,
    remote_write,
    rest,
    scan,
    start,
    storm,
)
from benchmarks.figures import Figure
from services.local.prepare import Parts, prepare_everything
from services.runtime.errors import SetpointError
from services.runtime.logging import configure_logging

BENCHES: tuple[ModuleType, ...] = (
    correct, storm, rest, scan, diffing, relist, start, recording, event_to_row, panels, effect, burst, gateway,
    decisions, killed, remote_write,
)  # fmt: skip
Run = Callable[[Parts], Awaitable[tuple[list[Figure], str]]]


async def measure(wanted: Iterable[str]) -> list[Figure]:
    """Run the benchmarks that yield the wanted names, all of them where none is wanted; what they have to say is
    printed as they end."""
    names = set(wanted)
    found: list[Figure] = []
    parts = await prepare_everything()
    for bench in BENCHES:
        if names and not names.intersection(bench.NAMES):
            continue
        began, run = time.monotonic(), cast_run(bench)
        print(f"{figures.machine()}\n{bench.__name__}: {(bench.__doc__ or '').splitlines()[0]}", flush=True)
        made, words = await run(parts)
        found += made
        print(f"{words}\n({time.monotonic() - began:.0f} s)\n", flush=True)
    return [entry for entry in found if not names or entry.name in names]


def cast_run(bench: ModuleType) -> Run:
    """A benchmark's `run`."""
    run: Run = bench.run
    return run


def main() -> int:
    wanted = [*sys.argv[1:], *os.environ.get("ONLY", "").replace(",", " ").split()]
    unknown = sorted(set(wanted) - figures.AIMS.keys())
    if unknown:
        print(f"no such figure: {', '.join(unknown)}; there are {', '.join(figures.AIMS)}", file=sys.stderr)
        return 2
    configure_logging("error", "json")
    try:
        found = asyncio.run(measure(wanted))
    except SetpointError as error:
        print(error, *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 3
    print(f"{figures.machine()}\n{figures.shown(found)}")
    figures.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
