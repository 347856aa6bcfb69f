"""What all partitions of one reconciler share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey
from services.reconciler.acting.carrier import Desk
from services.reconciler.acting.worker import Bench
from services.reconciler.guards import Bounds
from services.reconciler.policies.rulebook import Rulebook
from services.runtime.logging import Log
from services.runtime.metrics import Metrics


@dataclass(frozen=True)
class Shared:
    """`desk` is None where nothing can be done about alerts, since there is no real cluster. `partitions` is how many
    there are."""

    bootstrap: str
    group: str
    bounds: Bounds
    declared: Callable[[], Mapping[ObjectKey, Declared]]
    rules: Callable[[], Rulebook]
    bench: Bench
    metrics: Metrics
    log: Log
    desk: Desk | None = None
    environment: str = ""
    workers: set["asyncio.Task[Any]"] = field(default_factory=set)
    closing: set["asyncio.Task[Any]"] = field(default_factory=set)
