"""`setpoint policy explain EVENT.json`: for each policy the first clause that an event does not meet."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from schemas.alerts import AlertFired
from schemas.ledger import Place
from schemas.reference import Ref, Reference
from services.cli.policy_rules import policies_option, read_event, rules_at
from services.cli.printing import output_option, print_data, print_rows
from services.reconciler.actions.notify import plain
from services.reconciler.guards import Bounds
from services.reconciler.policies.explaining import Decided, Explained, decision_on, explain_all
from services.reconciler.policies.rehearsal import Rehearsal, Supposed
from services.reconciler.policies.rulebook import Rulebook
from services.reconciler.policies.supposing import suppose
from services.runtime.errors import UsageError
from services.runtime.settings import Settings

PARTS = ("object", "pod", "workload", "node", "application")
COLUMNS = {"policy": "POLICY", "mode": "MODE", "says": "SAYS", "because": "BECAUSE"}


@click.command(
    name="explain", epilog="Example: setpoint policy explain alert.json --policies ./policies",
    short_help="why an event is, or is not, answered",
)  # fmt: skip
@click.argument("event", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@policies_option
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="When it is looked at. Default: its own time.")
@click.option("--place", multiple=True, metavar="PART=OBJECT", help="Such as workload=Deployment/payments/api.")
@output_option
def explain(event: Path, policies: Path | None, at: datetime | None, place: tuple[str, ...], output: str) -> int:
    """Show what each policy makes of EVENT, an alert.fired or drift.detected event as JSON.

    The cluster is not asked: what an alert belongs to is taken from its names and labels, and from --place. Nothing
    that happened before is known, so limits that count attempts let it pass; 'setpoint policy backtest' counts them.
    """
    rules, settings = rules_at(policies)
    found, decided, assumed = explained(rules, settings, event, at, place)
    if output != "table":
        print_data({"decided": asdict(decided), "policies": [asdict(one) for one in found]}, output)
        return 0
    print_rows([_row(one) for one in found], output, COLUMNS, empty="there are no policies")
    click.echo(_sentence(decided))
    if assumed:
        click.echo("The workload is assumed from the pod's name: name it with --place workload=…", err=True)
    return 0


def explained(
    rules: Rulebook, settings: Settings, file: Path, at: datetime | None, places: tuple[str, ...]
) -> tuple[tuple[Explained, ...], Decided, bool]:
    """Each policy's word on an event, the decision, and whether something was assumed for it."""
    event = read_event(file)
    place, assumed = suppose(event.data) if isinstance(event.data, AlertFired) else (Place(), False)
    given = _places(places, event.data)
    place, now = place.model_copy(update=given), at or event.time
    protected = frozenset(settings.protected_namespaces)
    supposed = Supposed(environment=settings.environment)
    rehearsal = Rehearsal(rules, Bounds(event.data.target.cluster, protected), min(now, event.time), supposed)
    rehearsal.take(event, min(now, event.time), place)
    rehearsal.advance(now)
    decided = decision_on(rehearsal, event, place)
    rows = explain_all(rules.policies, event, decided, place, settings.environment, now)
    return rows, decided, assumed and "workload" not in given


def _places(given: tuple[str, ...], data: Any) -> dict[str, Any]:
    """`workload=Deployment/payments/api` → parts of a place. Raises UsageError."""
    found = {}
    for text in given:
        part, _, name = text.partition("=")
        if part not in PARTS:
            raise UsageError(f"no part of a place: {text!r}", f"Write one of {', '.join(PARTS)}, '=' and an object")
        try:
            reference: Reference = TypeAdapter(Ref).validate_python(name)
        except ValidationError as error:
            message = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
            raise UsageError(f"--place {part}: {message}") from error
        found[part] = reference.in_cluster(data.target.cluster)
    return found


def _row(one: Explained) -> dict[str, Any]:
    if one.decided is None:
        return {"policy": one.policy, "mode": one.mode, "says": "no match" if one.clause else "", "because": one.clause}
    decided = one.decided
    because = f"{decided.reason}: {decided.message}" if decided.message else str(decided.reason)
    return {"policy": one.policy, "mode": one.mode, "says": decided.verdict, "because": plain(because)}


def _sentence(decided: Decided) -> str:
    if decided.verdict is None:
        return "Nothing is decided yet."
    by = f"by policy {decided.policy}" if decided.policy else "by no policy"
    steps = f": {', then '.join(decided.do)}" if decided.do else ""
    return plain(f"{decided.verdict} ({decided.reason}) {by}{steps}")
