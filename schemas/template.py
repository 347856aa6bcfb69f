"""Values in policies that are taken from the event: `"${event.workload}"`, always one whole, typed value.

There is no text around it and none is pasted anywhere: `${…}` is one expression whose value is validated as what the
field wants. A text that is made of several parts is one expression too: `"${'restarted ' + event.name}"`.
"""

from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

FILLED = {"filled": True}
"""The validation context in which a template is a plain text: values that come from an event are never read as one."""
EXAMPLE = "\"${'restarted ' + event.name}\""
T = TypeVar("T")


class Template(str):
    """The text `${…}`; `expression` is what stands between."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema()

    @property
    def expression(self) -> str:
        """The CEL expression."""
        return self[2:-1].strip()


def is_template(value: Any) -> bool:
    """Whether a value of a policy is to be taken from the event."""
    return isinstance(value, str) and value.startswith("${") and value.endswith("}")


class _MayBeTemplate:
    """Lets a template through where the policy is read, and nothing but the value where it is filled."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, inner: Any, info: ValidationInfo) -> Any:
            if (info.context or {}).get("filled"):
                return inner(value)
            if is_template(value):
                return Template(value)
            if isinstance(value, str) and "${" in value:
                raise ValueError(f"text around ${{…}} is not filled: make it one expression, such as {EXAMPLE}")
            return inner(value)

        inner = handler(source)
        serialized = core_schema.wrap_serializer_function_ser_schema(
            lambda value, plain: str(value) if isinstance(value, Template) else plain(value), schema=inner
        )
        return core_schema.with_info_wrap_validator_function(validate, inner, serialization=serialized)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        template = {"type": "string", "pattern": r"^\$\{.*\}$"}
        return {"anyOf": [handler(schema), template]}


Filled = Annotated[T, _MayBeTemplate()]


def from_event(name: str) -> Any:
    """A field's default that is taken from the event."""
    return Template(f"${{event.{name}}}")
