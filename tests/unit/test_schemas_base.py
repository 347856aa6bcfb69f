"""A quick copy of a model is what pydantic's own copy is."""

from typing import Any

import pytest

from schemas.base import replaced
from schemas.events import Scope
from schemas.ledger import TargetState
from schemas.target import Target

TARGET = Target(cluster="c", group="apps", kind="Deployment", namespace="n", name="web")


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        pytest.param(TARGET, {"uid": "u"}, id="a field that was not set"),
        pytest.param(TARGET, {"name": "other"}, id="one that was"),
        pytest.param(Scope(cluster="c"), {}, id="nothing"),
        pytest.param(TargetState(target=TARGET), {"idle_since": None, "closed_cases": ("a",)}, id="a row"),
    ],
)
def test_a_copy_is_pydantics_copy(model: Any, changes: dict[str, object]) -> None:
    """Equal, with the same fields set, as frozen, and the original as it was."""
    before = model.model_dump()
    mine, theirs = replaced(model, changes), model.model_copy(update=changes)
    assert (mine, mine.model_fields_set, repr(mine)) == (theirs, theirs.model_fields_set, repr(theirs))
    assert mine.model_dump_json(exclude_unset=True) == theirs.model_dump_json(exclude_unset=True)
    assert model.model_dump() == before
    with pytest.raises(ValueError, match="frozen"):
        mine.name = "x"
