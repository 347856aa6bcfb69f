"""Two writers changing an object back and forth: stop, say with whom, and try again ever more rarely.

Every correction of a target adds 1 to its heat, which decays with exp(-minutes). At 5 it is a fight (the measure and
the figure are Config Sync's, kpt-config-sync pkg/syncer/reconcile/fight/detector.go). From then on a correction is a
probe: it waits until the heat has decayed below 5, and then 2, 6, 18, 54, 162, 300 seconds more. The fight is over once
the object has stayed right for twice the last wait, at least a minute, or when a person resumes.
"""

import math
from collections import Counter
from datetime import datetime, timedelta

from schemas.events import DriftDetected, Reason
from schemas.ledger import TargetState
from services.reconciler.guards.base import Denial, Request

THRESHOLD = 5.0
WAITS_S = (2, 6, 18, 54, 162, 300)
CALM_S = 60
OWN_MANAGERS = frozenset({"setpoint", "setpoint-undo"})


def fight(request: Request) -> Denial | None:
    """Deny while the target is fought over and the next probe is not due."""
    state, now = request.state, request.now
    probe_at = next_probe(state, now)
    if probe_at is None or probe_at <= now:
        return None
    other = state.fought_with or "a writer that leaves no name"
    paths = ", ".join(change.path for change in request.open_drift.fields[:3])
    return Denial(Reason.FIGHT, f"{other} changes it back again and again{': ' + paths if paths else ''}", probe_at)


def heat(state: TargetState, now: datetime) -> float:
    """The heat of a target, decayed to `now`."""
    if state.heat_at is None:
        return 0.0
    return state.heat * math.exp(-max(0.0, (now - state.heat_at).total_seconds()) / 60)


def next_probe(state: TargetState, now: datetime) -> datetime | None:
    """When the next correction may be tried during a fight; None where there is no fight."""
    if state.fight_probes is None or state.heat_at is None or _calm(state, now):
        return None
    cooling = 60 * math.log(state.heat / THRESHOLD) if state.heat > THRESHOLD else 0.0
    return state.heat_at + timedelta(seconds=cooling + _wait(state.fight_probes))


def corrected(state: TargetState, now: datetime, manager: str | None) -> TargetState:
    """The row after one more correction, made because of a drift that `manager` caused."""
    hotter = heat(state, now) + 1
    probes = None if _calm(state, now) else state.fight_probes
    if probes is not None:
        probes += 1
    elif hotter >= THRESHOLD:
        probes = 0
    other = (manager or state.fought_with) if probes is not None else manager
    return state.model_copy(update={"heat": hotter, "heat_at": now, "fight_probes": probes, "fought_with": other})


def peace(state: TargetState) -> TargetState:
    """The row without a fight: a person has resumed."""
    return state.model_copy(update={"heat": 0.0, "heat_at": None, "fight_probes": None, "fought_with": None})


def author_of(drift: DriftDetected) -> str | None:
    """The field manager that most of the drift's fields name, other than Setpoint itself."""
    names = Counter(change.manager for change in drift.fields if change.manager and change.manager not in OWN_MANAGERS)
    return names.most_common(1)[0][0] if names else None


def _wait(probes: int) -> int:
    return WAITS_S[min(probes, len(WAITS_S) - 1)]


def _calm(state: TargetState, now: datetime) -> bool:
    """Whether no correction was needed for so long that a fight, if there was one, is over."""
    if state.fight_probes is None or state.heat_at is None:
        return True
    return (now - state.heat_at).total_seconds() >= max(CALM_S, 2 * _wait(state.fight_probes))
