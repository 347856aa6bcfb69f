"""Each action as people look it up: what it does, its parameters, the rights that it needs, an example.

Everything is taken from the models and the operations themselves, so that nothing has to be written twice;
`setpoint actions` prints it, and docs/actions.md is made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.actions import ACTIONS, Parameters
from schemas.base import DURATION_SCHEMA, format_duration
from schemas.policy import Step
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.prune import Prune
from services.reconciler.actions.revert import Revert

ON_DRIFT: Mapping[str, tuple[tuple[Rule, ...], bool, str]] = {
    "revert": (Revert.needs, True, "revert: {timeout: 30s, recreate: false}"),
    "prune": (Prune.needs, False, "prune: {timeout: 30s}"),
}
"""Rights, whether it can be undone, and an example of what answers drift; `*` stands for the declared kinds."""
PLAIN = {"integer": "number", "string": "text", "boolean": "true or false", "object": "map", "null": ""}
MEANINGS = {
    "workload": "what is acted on", "pod": "what is acted on", "node": "what is acted on",
    "object": "what is acted on", "application": "what is synced", "cronJob": "whose job is run",
    "set": "values by key; a value may be a template", "remove": "keys that go",
    "revision": "which one; the newest, or for a rollback the one before, where none is named",
    "prune": "also delete what Git has no more", "force": "delete the pod where its eviction stays refused",
    "gracePeriod": "instead of the pods' own", "engine": "whose policy kind is used",
    "directions": "which traffic is cut", "allowDns": "whether names can still be looked up",
    "message": "the alert's own words where none is written", "json": "RFC 6902 operations",
    "recreate": "delete and make anew where a field cannot be changed", "replicas": "so many",
    "by": "so many more; fewer where it is negative", "min": "never fewer than this", "for": "how long",
    "namespaces": "what is backed up", "veleroNamespace": "where Velero is", "ttl": "how long it is kept",
    "storageLocation": "Velero's default where none is named", "headers": "further headers, never from an event",
    "timeout": "for planning and writing, verification aside",
}  # fmt: skip
"""Of the parameters whose models leave it to their name."""
TEMPLATE = "^\\$\\{.*\\}$"


@dataclass(frozen=True)
class Parameter:
    """One parameter. `default` is as it would be written, None where it must be given."""

    name: str
    type: str
    default: str | None
    meaning: str


@dataclass(frozen=True)
class Entry:
    """One action. `name` is as policies write it, `rights` those of the example."""

    name: str
    answers: str
    meaning: str
    parameters: tuple[Parameter, ...]
    rights: tuple[Rule, ...]
    reversible: bool
    example: str


def entries() -> tuple[Entry, ...]:
    """All actions, by name."""
    return tuple(sorted((_entry(action) for action in ACTIONS), key=lambda one: one.name))


def written(action: str) -> str:
    """`delete-pod`, as events carry it → `deletePod`, as policies do."""
    return to_camel(action.replace("-", "_"))


def right_in_words(rule: Rule) -> str:
    """`get, patch deployments.apps`."""
    resource = f"{rule.resource}.{rule.group}" if rule.group not in ("", "*") else rule.resource
    return f"{', '.join(rule.verbs)} {resource if resource != '*' else 'any kind'}"


def _entry(action: str) -> Entry:
    model, drift = ACTIONS[action], ON_DRIFT.get(action)
    meaning = " ".join(str(model.__doc__).split())
    parameters = _parameters(model)
    if drift is not None:
        rights, reversible, example = drift
        return Entry(written(action), "drift", meaning, parameters, rights, reversible, example)
    operation = OPERATIONS[action]
    step = Step.model_validate(yaml.safe_load(operation.example))
    rights = operation.rules(step.parameters)
    answers = "alerts and schedules"
    return Entry(
        written(action), answers, meaning, parameters, rights, operation.reversible, operation.example.strip()
    )  # fmt: skip


def _parameters(model: type[Parameters]) -> tuple[Parameter, ...]:
    """Those of its own first, the time-out that all have last."""
    schema = model.model_json_schema(by_alias=True)["properties"]
    named = sorted(model.model_fields.items(), key=lambda item: item[0] == "timeout")
    return tuple(_parameter(str(field.alias or to_camel(name)), field, schema) for name, field in named)


def _parameter(name: str, field: FieldInfo, schema: Mapping[str, Any]) -> Parameter:
    return Parameter(name, " or ".join(_types(schema[name])), _default(field), field.description or MEANINGS[name])


def _default(field: FieldInfo) -> str | None:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    if value in (None, "", (), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return format_duration(value) if hasattr(value, "total_seconds") else str(value)


def _types(schema: Mapping[str, Any]) -> list[str]:
    """What may be written, in words; a template last."""
    if "anyOf" in schema:
        found = [word for one in schema["anyOf"] for word in _types(one)]
        return sorted(dict.fromkeys(word for word in found if word), key=lambda word: word == "${…}")
    if schema.get("pattern") == TEMPLATE:
        return ["${…}"]
    if schema.get("pattern") == DURATION_SCHEMA["pattern"]:
        return ["duration"]
    if "enum" in schema:
        return [str(one) for one in schema["enum"]]
    if schema.get("type") == "array":
        return [f"list of {' or '.join(_types(schema.get('items', {})))}"]
    if "Node/worker-1" in schema.get("examples", ()):
        return ["object"]
    return [PLAIN.get(str(schema.get("type")), "")]
