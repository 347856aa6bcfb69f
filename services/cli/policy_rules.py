"""What the `policy` commands share: the rules they are about, and events from files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from pydantic import ValidationError

from schemas.alerts import AlertFired
from schemas.base import EventModel
from schemas.events import DriftDetected, Event, make_event, parse_event, stable_id
from services.cli.options import EXISTING
from services.reconciler.policies.checking import wrongs
from services.reconciler.policies.rulebook import Rulebook, rulebook_of
from services.runtime.errors import UsageError
from services.runtime.rulefiles import load_rules
from services.runtime.settings import Settings, load_settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
KNOWN: Mapping[str, type[EventModel]] = {"alert_id": AlertFired, "drift_id": DriftDetected}
LARGEST = 4 * 2**20


def policies_option(command: CommandT) -> CommandT:
    """`--policies PATH`."""
    text = "File or folder with Policy documents. Default: SETPOINT_POLICIES."
    return click.option("--policies", type=EXISTING, help=text)(command)


def rules_at(policies: Path | None) -> tuple[Rulebook, Settings]:
    """The rules and the settings. Raises UserFileError for wrong files, UsageError where none are named."""
    settings = load_settings(policies=policies)
    settings.need("policies", "--policies")
    return rulebook_of(load_rules(Path(str(settings.policies)), wrongs)), settings


def read_event(path: Path) -> Event[Any]:
    """The event in a JSON file: as on a topic, or its data alone. Raises UsageError naming the file."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB", "Name a file with one event")
        value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Check the path") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is no JSON: {error}", "Give one event as a JSON object") from error
    return event_of(value, str(path))


def event_of(value: Any, where: str) -> Event[Any]:
    """The same from what was read already."""
    if not isinstance(value, dict):
        raise UsageError(f"{where} is no JSON object", "Give one event")
    try:
        found = parse_event(orjson.dumps(value)) if "type" in value else _bare(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where} is no such event: {field}: {first['msg']}", "Compare 'setpoint schemas'") from error
    if found is None:
        fix = "Give an alert.fired or a drift.detected event, or the data of one"
        raise UsageError(f"{where} is no event that is known here", fix)
    return found


def _bare(data: dict[str, Any]) -> Event[Any] | None:
    """An event's data without its envelope."""
    model = next((model for key, model in KNOWN.items() if key in data), None)
    if model is None:
        return None
    read = model.model_validate(data)
    target, time = read.target, getattr(read, "fired_at", None) or read.detected_at  # type: ignore[attr-defined]
    id = stable_id(orjson.dumps(data, option=orjson.OPT_SORT_KEYS))
    return make_event(read, id=id, source="file", subject=target.subject, time=time, correlationid=id)
