"""Fill an action's parameters from an event: each `${…}` is one expression, and its value must be what its field wants.

What comes from an event is a value and stays one: a text that looks like a template is a text.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from schemas.actions import Parameters
from schemas.template import FILLED, Template, is_template
from services.runtime.expr import Context, ExpressionError, compile_expression

P = TypeVar("P", bound=Parameters)


class NotFilled(Exception):
    """A parameter has no value, or one that it cannot take. The message names the parameter, never the value."""


def fill(parameters: P, context: Context) -> P:
    """The same parameters with the event's values. Raises NotFilled."""
    kind = type(parameters)
    try:
        filled = {name: _filled(getattr(parameters, name), context, name) for name in kind.model_fields}
        return kind.model_validate(filled, context=FILLED)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise NotFilled(f"{'.'.join(map(str, first['loc'])) or 'parameters'}: {_words(first)}") from None


def templates_in(value: Any) -> list[str]:
    """Every expression in a parameter's value, at whatever depth."""
    if isinstance(value, Parameters):
        return [one for name in type(value).model_fields for one in templates_in(getattr(value, name))]
    if isinstance(value, Mapping):
        return [one for child in value.values() for one in templates_in(child)]
    if isinstance(value, list | tuple):
        return [one for child in value for one in templates_in(child)]
    return [Template(value).expression] if is_template(value) else []


def _filled(value: Any, context: Context, path: str) -> Any:
    if is_template(value):
        return _value_of(value, context, path)
    if isinstance(value, Mapping):
        return {name: _filled(child, context, f"{path}.{name}") for name, child in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(child, context, f"{path}.{number}") for number, child in enumerate(value))
    return value


def _value_of(template: str, context: Context, path: str) -> Any:
    try:
        return compile_expression(Template(template).expression).evaluate(context)
    except ExpressionError as error:
        raise NotFilled(f"{path}: {error}") from None


def _words(error: Any) -> str:
    """A reference that is none quotes what was given: only its own advice is told."""
    text = str(error["msg"]).removeprefix("Value error, ")
    return "is empty in this event" if error["type"] == "value_error" and "names no object" in text else text[:200]
