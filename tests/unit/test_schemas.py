"""Exporting schemas: what is written, and what is never overwritten."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import format_duration, parse_duration
from schemas.policy import Policy
from services.runtime.errors import UsageError
from services.runtime.schemas_export import current_schemas, read_released, releases, write_released


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """A release's folder holds today's schemas exactly, and writing again changes nothing."""
    files = write_released("0.1.0", tmp_path)
    before = {path: path.read_bytes() for path in files}
    assert read_released("0.1.0", tmp_path) == current_schemas()
    assert {path: path.read_bytes() for path in write_released("0.1.0", tmp_path)} == before


def test_an_older_release_is_not_written_again(tmp_path: Path) -> None:
    """Others rely on what a release said. Versions are compared as numbers."""
    write_released("0.10.0", tmp_path)
    with pytest.raises(UsageError, match=r"0\.9\.0 is older than 0\.10\.0"):
        write_released("0.9.0", tmp_path)
    assert releases(tmp_path) == ["0.10.0"]


def test_a_schema_without_a_model_goes_and_examples_stay(tmp_path: Path) -> None:
    """Before its release a version follows the models; examples are written by hand."""
    example = tmp_path / "0.1.0" / "examples" / "Old" / "a.json"
    example.parent.mkdir(parents=True)
    example.write_text("{}")
    (tmp_path / "0.1.0" / "Old.schema.json").write_text("{}")
    write_released("0.1.0", tmp_path)
    assert read_released("0.1.0", tmp_path).keys() == current_schemas().keys()
    assert example.exists()


def test_schemas_of_users_documents_speak_their_language() -> None:
    """Keys as in files, durations as people write them, unknown keys refused."""
    limits = current_schemas()["Policy"]["$defs"]["Limits"]
    assert set(limits["properties"]) >= {"oncePer", "attempts"}
    assert "[0-9]+(ms|s|m|h|d|w)" in limits["properties"]["oncePer"]["pattern"]
    assert limits["additionalProperties"] is False


def test_a_policy_survives_its_own_json() -> None:
    """Durations are written in a form that is read back."""
    text = '{"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "a"}, "spec": '
    text += '{"trigger": {"drift": {}}, "limits": {"oncePer": "1h30m"}}}'
    policy = Policy.model_validate_json(text, strict=True)
    assert Policy.model_validate_json(policy.model_dump_json(by_alias=True), strict=True) == policy


@given(st.integers(0, 10**12))
def test_every_duration_is_read_back_as_written(milliseconds: int) -> None:
    """What Setpoint prints of a policy can be pasted into a file."""
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value
