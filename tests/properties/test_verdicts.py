"""Verdicts over random objects and random writes, on a small API server in memory. Both engines, thousands of cases."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from services.kube.comparison.applying import appliable
from services.kube.comparison.diff import predicted_diff
from services.kube.correction.revert import put_back
from services.kube.objects import Object
from services.kube.pointer import parse_pointer, resolve
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import judge
from tests.properties.cases import CONTROLLER, DEPLOYER, PERSON, at_once, declare, told
from tests.properties.edits import Edit, done, expected, overlap, pointer, shuffled, some_edits
from tests.properties.model import Model
from tests.properties.schemas import schema_of
from tests.strategies import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, WIDGET, Kind

pytestmark = pytest.mark.timeout(600)
KINDS = (DEPLOYMENT, SERVICE, CONFIG_MAP, SECRET, WIDGET)
ALL = frozenset({"changed", "removed", "added"})
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
each_kind = pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
each_engine = pytest.mark.parametrize("dry_run", [pytest.param(True, id="dry-run"), pytest.param(False, id="local")])


def deployed(kind: Kind, data: st.DataObject) -> tuple[Object, Model]:
    """A random declared object, applied by its deployer."""
    obj = data.draw(kind.objects)
    obj["metadata"] = {**obj["metadata"], "name": "x", "namespace": "n"}
    model = Model(schema_of(kind.name))
    model.applied(DEPLOYER, obj)
    return obj, model


def edited(kind: Kind, data: st.DataObject, obj: Object, model: Model, manager: str, kinds: frozenset[str]) -> Any:
    edits = data.draw(some_edits(obj, model.node, kind, kinds))
    model.update(manager, done(model.obj, edits))
    return edits


@each_kind
@each_engine
@EXAMPLES
@given(data=st.data())
def test_what_a_person_did_is_drift_on_exactly_those_fields(kind: Kind, dry_run: bool, data: st.DataObject) -> None:
    """Field and kind of difference are those of the edits, and what is still there names its writer."""
    obj, model = deployed(kind, data)
    edits = edited(kind, data, obj, model, PERSON, ALL)
    assume(edits)
    declared, live = declare(obj), model.live
    finding = at_once(judge(model, declared, live, dry_run=dry_run))  # type: ignore[arg-type]
    assert told(finding) == expected(edits, live, obj)
    for change in describe(live, obj, finding.fields, b"key"):
        assert change.manager == (None if change.kind == "removed" else PERSON), change


@each_kind
@each_engine
@EXAMPLES
@given(data=st.data())
def test_what_a_trusted_controller_did_is_no_drift(kind: Kind, dry_run: bool, data: st.DataObject) -> None:
    """Neither what it changed nor what it added; a correction of something else leaves both alone."""
    obj, model = deployed(kind, data)
    edits = edited(kind, data, obj, model, CONTROLLER, frozenset({"changed", "added"}))
    live = model.live
    finding = at_once(judge(model, declare(obj), live, dry_run=dry_run))  # type: ignore[arg-type]
    assert (finding.state, told(finding)) == (None, [])
    changed = {pointer(edit.steps, live, obj) for edit in edits if edit.kind == "changed"}
    assert set(finding.left) == changed


@each_kind
@each_engine
@EXAMPLES
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_another_order_and_another_spelling_are_no_drift(
    kind: Kind, dry_run: bool, data: st.DataObject, seed: int
) -> None:
    """Whoever wrote it so: a keyed list, a set or a map has no order, and a quantity no one spelling."""
    obj, model = deployed(kind, data)
    edited(kind, data, obj, model, PERSON, frozenset({"same"}))
    model.update(PERSON, shuffled(model.obj, model.node, random.Random(seed)))
    finding = at_once(judge(model, declare(obj), model.live, dry_run=dry_run))  # type: ignore[arg-type]
    assert (finding.state, told(finding)) == (None, [])


@each_kind
@each_engine
@EXAMPLES
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_corrected_is_in_sync(kind: Kind, dry_run: bool, data: st.DataObject, seed: int) -> None:
    """After a correction nothing differs, what the controller holds is as it was, and a second one writes nothing."""
    obj, model = deployed(kind, data)
    theirs = edited(kind, data, obj, model, CONTROLLER, frozenset({"changed", "added"}))
    drawn = data.draw(some_edits(obj, model.node, kind, ALL))
    edits = tuple(edit for edit in drawn if not any(overlap(edit, one) for one in theirs))
    assume(edits)
    model.update(PERSON, shuffled(done(model.obj, edits), model.node, random.Random(seed)))
    declared, live = declare(obj), model.live
    finding = at_once(judge(model, declared, live, dry_run=dry_run))  # type: ignore[arg-type]
    assert told(finding) == expected(edits, live, obj)
    at_once(put_back(model, declared, live, finding))  # type: ignore[arg-type]
    after = at_once(judge(model, declared, model.live, dry_run=dry_run))  # type: ignore[arg-type]
    assert (after.state, told(after)) == (None, [])
    for edit in theirs:
        assert value_at(edit, model.obj) == value_at(edit, live), edit


def value_at(edit: Edit, obj: Object) -> Any:
    return resolve(obj, parse_pointer(pointer(edit.steps, obj, obj)))


@each_kind
@EXAMPLES
@given(data=st.data())
def test_the_local_engine_never_says_less_than_the_dry_run(kind: Kind, data: st.DataObject) -> None:
    """Writes by anybody, several times: where the server would change something, the local comparison says so too."""
    obj, model = deployed(kind, data)
    for manager in data.draw(st.lists(st.sampled_from([PERSON, CONTROLLER, DEPLOYER, "python-requests"]), max_size=4)):
        edits = data.draw(some_edits(obj, model.node, kind, ALL))
        for edit in edits:
            try:
                model.update(manager, done(model.obj, (edit,)))
            except (AssertionError, KeyError):
                continue  # an earlier edit took its place away
    declared, live = declare(obj), model.live
    server = at_once(judge(model, declared, live))  # type: ignore[arg-type]
    local = at_once(judge(model, declared, live, dry_run=False))  # type: ignore[arg-type]
    assert told(local) == told(server)
    assert local.state == server.state
    assert sorted(local.left) == sorted(server.left)
    predicted = at_once(model.apply(appliable(obj, live, local.left, model.node), dry_run=True))
    asked = predicted_diff(predicted, live, model.node, obj, local.left)  # also where the judge had no need to ask
    assert {(diff.kind, diff.path) for diff in asked} <= set(told(local))


@each_kind
@EXAMPLES
@given(data=st.data())
def test_an_ignore_rule_covers_its_path_and_nothing_else(kind: Kind, data: st.DataObject) -> None:
    """Of several edits one is ignored: the others are told as if it had not been made."""
    obj, model = deployed(kind, data)
    edits = edited(kind, data, obj, model, PERSON, frozenset({"changed", "added"}))
    assume(edits)
    live = model.live
    ignored = data.draw(st.sampled_from(edits))
    rest = tuple(edit for edit in edits if edit is not ignored)
    declared = declare(obj, pointer(ignored.steps, live, obj))
    finding = at_once(judge(model, declared, live))  # type: ignore[arg-type]
    want = [one for one in expected(edits, live, obj) if one in expected(rest, live, obj)]
    assert [one for one in told(finding) if one in want] == want
    inside = pointer(ignored.steps, live, obj)
    assert not any((path + "/").startswith(inside + "/") for _, path in told(finding))
