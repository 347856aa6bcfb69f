"""Build a model with every field set, and with only the required ones: samples of all that today's code can say."""

from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

TIME = datetime(2026, 11, 24, 10, 0, 0, 123456, UTC)
PLAIN: dict[Any, Any] = {str: "text", int: 7, float: 1.5, bool: True, datetime: TIME, Any: {"any": ["thing", 1, None]}}


def fill(model: type[BaseModel], turn: int = 0, *, every: bool = True) -> Any:
    """An instance; `turn` picks among the members of enums and literals, so that some turns show them all."""
    fields = _fields(model).items()
    values = {name: _value(field.annotation, turn, every) for name, field in fields if every or field.is_required()}
    return model.model_validate(values)


def turns(model: type[BaseModel]) -> int:
    """How many turns show every member of every enum and literal below a model."""
    return max((_turns(field.annotation) for field in _fields(model).values()), default=1)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """With annotations that name what is defined further down put in."""
    model.model_rebuild()
    return model.model_fields


def _turns(kind: Any) -> int:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return turns(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return len(kind)
    if get_origin(kind) is Literal:
        return len(get_args(kind))
    return max((_turns(part) for part in get_args(kind)), default=1)


def _value(kind: Any, turn: int, every: bool) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return fill(kind, turn, every=every)
    if isinstance(kind, type) and issubclass(kind, Enum):
        members = list(kind)
        return members[turn % len(members)]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(parts[0], turn, every)
    if origin is Literal:
        return parts[turn % len(parts)]
    if origin in (Union, UnionType):
        return _value(next(part for part in parts if part is not NoneType), turn, every)
    if origin is tuple:
        return (_value(parts[0], turn, every),) if every else ()
    if origin is dict:
        return {"key": _value(parts[1], turn, every)} if every else {}
    return PLAIN[kind]
