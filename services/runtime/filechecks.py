"""Validate one document against its strict model, and say what is wrong in the user's own terms and places."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from schemas.base import StrictModel
from services.runtime.errors import FileProblem
from services.runtime.yamlfile import dotted, place

Path = tuple[str | int, ...]


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, whatever its case."""
    by_fold = {name.casefold(): name for name in known}
    near = get_close_matches(word.replace("_", "").replace("-", "").casefold(), by_fold, n=1, cutoff=0.7)
    near = near or get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.7)
    return by_fold[near[0]] if near else None


def validate(model: type[StrictModel], value: Any, file: str, node: yaml.Node) -> StrictModel | list[FileProblem]:
    """The model, or every problem with its place. Types are not converted: `"3"` is no number, `3` no text."""
    try:
        return model.model_validate_json(orjson.dumps(value), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = []
        found = error.errors(include_url=False)
        for item in found:
            path = item["loc"]
            if item["type"] == "too_short" and any(
                other["loc"][: len(path)] == path != other["loc"] for other in found
            ):
                continue  # the list is short only because its items are wrong
            message, fix = _explain(model, path, item)
            problems.append(FileProblem(file, *place(node, path), dotted(path), message, fix))
        return problems


def _explain(model: type[StrictModel], path: Path, item: Any) -> tuple[str, str]:
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        as_bool = "YAML reads on, yes and y as true, off, no and n as false; " if path[-1] in ("true", "false") else ""
        return "unknown key", as_bool + _suggest(str(path[-1]), _keys_at(_schema(model), path[:-1]))
    if kind == "missing":
        return "is missing", f"add {path[-1]}"
    if kind in ("enum", "literal_error"):
        allowed = _words(context["expected"])
        return f"unknown value {given!r}", _suggest(str(given), allowed)
    if kind == "string_type":
        scalar = isinstance(given, bool | int | float)
        return f"must be text, not {_name(given)}", "put it in quotes" if scalar else "write a text"
    if kind in ("int_type", "float_type"):
        return f"must be a number, not {_name(given)}", "write it without quotes" if isinstance(given, str) else ""
    if kind == "tuple_type":
        return f"must be a list, not {_name(given)}", "write it as [one, two], or one '- item' a line"
    if kind in ("model_type", "model_attributes_type"):
        keys = _keys_at(_schema(model), path)
        return f"must be a map, not {_name(given)}", f"write its keys below it: {', '.join(keys)}"
    if kind == "string_pattern_mismatch":
        return f"{given!r} does not match {context['pattern']}", _pattern_fix(path)
    if kind == "value_error":
        return str(context["error"]), ""
    return item["msg"][:1].lower() + item["msg"][1:], ""


def _pattern_fix(path: Path) -> str:
    if path[-1] == "path":
        return "write a JSON pointer such as /spec/replicas"
    return "use lower-case letters, digits and '-'" if path[-1] == "name" else ""


def _suggest(word: str, known: list[str]) -> str:
    near = closest(word, known)
    if near:
        return f"did you mean {near}?"
    return f"known are {', '.join(known)}" if known else ""


def _words(expected: str) -> list[str]:
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _name(value: Any) -> str:
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a map"}
    return names.get(type(value), type(value).__name__)


@cache
def _schema(model: type[StrictModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _keys_at(schema: dict[str, Any], path: Path) -> list[str]:
    """The keys that the schema knows at a path; empty where it leads to no map."""
    here = _resolve(schema, schema)
    for part in path:
        inner = here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part)
        if inner is None:
            return []
        here = _resolve(schema, inner)
    return list(here.get("properties", {}))


def _resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        elif "anyOf" in part:
            part = next((one for one in part["anyOf"] if one.get("type") != "null"), {})
        else:
            return part
