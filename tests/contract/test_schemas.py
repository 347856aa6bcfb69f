"""Services of two releases run side by side during an upgrade: what each says, the other must be able to read.

What was released is in `schemas/released/`; nothing there is ever changed after its release.
"""

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from schemas.base import EventModel, StrictModel
from schemas.events import MODELS, TYPES, make_event, parse_event
from schemas.ledger import TargetState
from services.runtime.schemas_export import DOCUMENTS, current_schemas, read_released, released_folder, releases
from tests.contract.filler import TIME, fill, turns

RELEASES = releases(released_folder())
EXAMPLES = sorted(released_folder().glob("*/examples/*/*.json"))
NAMES = [*MODELS, *DOCUMENTS]
DATA_MAPS = {"labels", "desired", "live", "values", "parameters", "before"}
REWRITE = "run: python -m services.runtime.schemas_export"


def identify(path: Path) -> str:
    return "/".join(path.relative_to(released_folder()).with_suffix("").parts)


def parse(name: str, text: str) -> BaseModel:
    """Read as services do."""
    if name in DOCUMENTS:
        strict = issubclass(DOCUMENTS[name], StrictModel)
        return DOCUMENTS[name].model_validate_json(text, strict=strict)
    event = parse_event(text.encode())
    assert event is not None, f"no model reads {name} any more; keep the old one for a release"
    return event


def samples(name: str) -> Iterator[Any]:
    """All that today's code can say, as JSON: every field and enum member, and the least."""
    model: type[BaseModel] = MODELS.get(name) or DOCUMENTS[name]
    for turn in range(turns(model)):
        for every in (True, False):
            filled = fill(model, turn, every=every)
            if name in MODELS:
                assert isinstance(filled, EventModel)
                filled = make_event(filled, id="1", source="s", subject="s", time=TIME, correlationid="1")
            yield json.loads(filled.model_dump_json())


def with_news(value: Any) -> Any:
    """The same with a field in every object that nobody knows yet, but for maps whose keys are data."""
    if isinstance(value, dict):
        known = {key: child if key in DATA_MAPS else with_news(child) for key, child in value.items()}
        return {**known, "added_later": {"by": ["a", "newer", "release"]}}
    return [with_news(child) for child in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", NAMES)
def test_the_newest_schemas_are_todays(name: str) -> None:
    """Snapshot: a change of a model is seen in review as a change of its schema."""
    assert RELEASES[-1] == version("setpoint"), REWRITE
    assert read_released(RELEASES[-1]).get(name) == current_schemas()[name], REWRITE


def test_no_schema_is_left_without_a_model() -> None:
    """What is no more has left the newest schemas too."""
    assert read_released(RELEASES[-1]).keys() == set(NAMES), REWRITE


@pytest.mark.parametrize("path", EXAMPLES, ids=identify)
def test_everything_ever_said_can_be_read(path: Path) -> None:
    """Backward: topics and ledgers still hold what older releases wrote."""
    text = path.read_text(encoding="utf-8")
    assert parse(path.parent.name, text)


@pytest.mark.parametrize("path", EXAMPLES, ids=identify)
def test_examples_fit_the_schema_they_were_released_with(path: Path) -> None:
    """An example that its own schema refuses would teach others a wrong form."""
    release = path.parents[2].name
    Draft202012Validator(read_released(release)[path.parent.name]).validate(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", [*MODELS, "TargetState"])
def test_what_is_said_today_fits_what_older_readers_expect(release: str, name: str) -> None:
    """Forward: during an upgrade an older service reads what a newer one writes."""
    if schema := read_released(release).get(name):
        validator = Draft202012Validator(schema)
        for sample in samples(name):
            validator.validate(sample)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("path", sorted(released_folder().glob("*/examples/dev.*/*.json")), ids=identify)
def test_readers_ignore_what_they_do_not_know(release: str, path: Path) -> None:
    """A field that is added to an event, at any depth, changes nothing for today's and yesterday's readers."""
    value = json.loads(path.read_text(encoding="utf-8"))
    news = with_news(value)
    assert parse(path.parent.name, json.dumps(news)) == parse(path.parent.name, json.dumps(value))
    if schema := read_released(release).get(path.parent.name):
        Draft202012Validator(schema).validate(news)


@pytest.mark.parametrize("path", sorted(released_folder().glob("*/examples/TargetState/*.json")), ids=identify)
def test_a_ledger_of_a_newer_release_can_be_read(path: Path) -> None:
    """Going back a release must not lose the ledger."""
    value = json.loads(path.read_text(encoding="utf-8"))
    assert TargetState.model_validate(with_news(value)) == TargetState.model_validate(value)


@pytest.mark.parametrize("path", sorted(released_folder().glob("*/examples/[BGMP]*/*.json")), ids=identify)
def test_users_documents_refuse_what_nobody_knows(path: Path) -> None:
    """What people write is the other way round: a misspelt key must not be ignored."""
    value = json.loads(path.read_text(encoding="utf-8"))
    with pytest.raises(ValidationError, match="added_later"):
        parse(path.parent.name, json.dumps(with_news(value)))


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_has_an_example(name: str) -> None:
    """Somebody who writes a consumer starts from an example."""
    assert list((released_folder() / RELEASES[-1] / "examples" / name).glob("*.json"))


@pytest.mark.parametrize("name", sorted({*TYPES.values(), *(path.parent.name for path in EXAMPLES)} - DOCUMENTS.keys()))
def test_event_types_are_versioned_names(name: str) -> None:
    """A breaking change is a new type: `.v2` beside `.v1` for one release."""
    assert re.fullmatch(r"dev\.setpoint\.[a-z]+\.[a-z]+\.v[1-9][0-9]*", name)


def test_an_unknown_event_type_is_no_error() -> None:
    """A newer service's new kind of event is skipped by those that cannot know it."""
    assert parse_event(b'{"type": "dev.setpoint.weather.changed.v1", "data": 1}') is None


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_valid_schemas(name: str) -> None:
    """Editors and other languages' validators read them."""
    Draft202012Validator.check_schema(current_schemas()[name])
