"""The JSON Schemas of everything that outlives a process: events, the ledger's rows, users' documents.

`schemas/released/<version>/` holds what each release said and wrote, with examples; tests hold today's models against
all of them. `python -m services.runtime.schemas_export` writes the version under development; a version that has been
released is never written again.
"""

import json
from datetime import timedelta
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.base import format_duration
from schemas.baseline import Baseline
from schemas.events import MODELS, Event
from schemas.ledger import TargetState
from schemas.policy import Policy
from schemas.window import Group, MaintenanceWindow
from services.runtime.errors import UsageError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUFFIX = ".schema.json"
DOCUMENTS: dict[str, type[BaseModel]] = {
    "Baseline": Baseline, "Policy": Policy, "MaintenanceWindow": MaintenanceWindow, "Group": Group,
    "TargetState": TargetState,
}  # fmt: skip

Schema = dict[str, Any]


class Generator(GenerateJsonSchema):
    """Writes default durations as people write them."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def current_schemas() -> dict[str, Schema]:
    """Schema by name, as readers check: event types in full, and the documents' kinds."""
    schemas = {name: event_schema(name) for name in MODELS}
    return schemas | {
        name: _dressed(name, model.model_json_schema(schema_generator=Generator)) for name, model in DOCUMENTS.items()
    }


def event_schema(name: str) -> Schema:
    """One event type's envelope and data. Unknown fields are allowed everywhere: readers ignore them."""
    envelope = cast(type[BaseModel], Event.__class_getitem__(MODELS[name]))
    schema = envelope.model_json_schema(schema_generator=Generator)
    schema["properties"]["type"] = {"const": name, "type": "string"}
    return _dressed(name, schema)


def _dressed(name: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, **schema, "title": name}


def released_folder() -> Path:
    """Where released schemas lie, in a checkout and in an installed package."""
    return Path(str(files("schemas").joinpath("released")))


def releases(folder: Path) -> list[str]:
    """The versions in a folder of releases, oldest first."""
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted(names, key=_order)


def read_released(version: str, folder: Path | None = None) -> dict[str, Schema]:
    """The schemas of one release by name."""
    found = ((folder or released_folder()) / version).glob(f"*{SUFFIX}")
    return {path.name.removesuffix(SUFFIX): json.loads(path.read_text(encoding="utf-8")) for path in sorted(found)}


def write_released(version: str, folder: Path | None = None) -> list[Path]:
    """Write today's schemas as those of `version`; returns the files. Examples beside them are left alone.

    Raises UsageError for a version older than the newest one there, since others rely on what it says.
    """
    folder = folder or released_folder()
    newest = releases(folder)[-1:]
    if newest and _order(version) < _order(newest[0]):
        raise UsageError(f"{version} is older than {newest[0]}, which is there already", "Give the version to come")
    target = folder / version
    target.mkdir(parents=True, exist_ok=True)
    schemas = current_schemas()
    for path in target.glob(f"*{SUFFIX}"):
        if path.name.removesuffix(SUFFIX) not in schemas:
            path.unlink()
    return [_write(target / f"{name}{SUFFIX}", schema) for name, schema in schemas.items()]


def _write(path: Path, schema: Schema) -> Path:
    path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    write_released(installed_version("setpoint"))
