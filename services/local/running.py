"""Which `setpoint up` or `setpoint demo` runs on this machine, so that other commands find its parts by themselves.

One small file a process below the cache root; a file whose process is gone counts for nothing and is removed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from services.local.folders import cache_root
from services.runtime.errors import UsageError


class Running(BaseModel):
    """What a running process offers to others. Addresses are on loopback unless others were given to it."""

    pid: int
    cluster: str
    context: str
    kubeconfig: str | None = None
    kafka: str
    clickhouse: str
    folder: str
    partitions: int = 6
    ports: dict[str, int] = {}  # of /ready, by service

    def services(self) -> dict[str, str]:
        """The health address of each service."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}


def folder() -> Path:
    """Where the files lie."""
    return cache_root() / "running"


@contextmanager
def announced(running: Running) -> Iterator[None]:
    """Say it for the length of a block."""
    path = folder() / f"{running.pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(running.model_dump_json(indent=2), encoding="utf-8")
    path.chmod(0o600)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def all_running() -> list[Running]:
    """Every process that is alive, the newest first."""
    found = []
    paths = sorted(folder().glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths:
        with suppress(OSError, ValidationError, json.JSONDecodeError):
            running = Running.model_validate_json(path.read_text(encoding="utf-8"))
            if _alive(running.pid):
                found.append(running)
            else:
                path.unlink(missing_ok=True)
    return found


def the_running(cluster: str | None = None) -> Running | None:
    """The one that is meant: of `cluster` if given, else the only one. Raises UsageError where several would do."""
    found = [running for running in all_running() if cluster in (None, running.cluster)]
    if len(found) > 1:
        names = ", ".join(f"{running.cluster} (pid {running.pid})" for running in found)
        raise UsageError(f"several are running: {names}", "Choose with --cluster, or name the parts yourself")
    return found[0] if found else None


def running_clickhouse(cluster: str | None = None) -> str | None:
    """The read side of the running process' engine."""
    running = the_running(cluster)
    return running.clickhouse if running else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
