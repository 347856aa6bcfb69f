"""What somebody writes while a correction is under way: it must not lose its author then, or it is never told.

An addition is proven by its owner alone, and a correction takes shares of ownership away: of an item of a list that is
declared it takes all, with the defaults that came with it.
"""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.kube.api.errors import ApiError, Forbidden
from services.kube.correction.revert import put_back
from services.kube.objects import Object, managed_fields
from services.kube.verdict.judge import judge
from tests.properties.cases import DEPLOYER, PERSON, at_once, declare, told
from tests.properties.edits import Edit, done, expected, extras, overlap, some_edits, step_into
from tests.properties.model import Model
from tests.properties.schemas import schema_of
from tests.properties.test_verdicts import ALL, EXAMPLES, deployed, each_kind
from tests.strategies import Kind

pytestmark = pytest.mark.timeout(600)
DEBUG: Object = {"name": "DEBUG", "value": "1"}
ADDED = [("added", "/spec/template/spec/containers/0/env/1")]
DEFAULTS: Object = {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}


def deployment(image: str = "app:1", *env: Object, **container: Any) -> Object:
    running = {"name": "app", "image": image, "env": [{"name": "MODE", "value": "steady"}, *env], **container}
    spec = {"replicas": 1, "template": {"spec": {"containers": [running]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "n"}, "spec": spec}


class Defaulting(Model):
    """A server that fills in a container's defaults; `refusal` is what it says to a dry-run create."""

    refusal: ApiError | None = None

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        if self.refusal:
            raise self.refusal
        made = await super().create(manifest, dry_run=dry_run)
        made["spec"]["template"]["spec"]["containers"][0].update(DEFAULTS)
        return made


def made_by_hand() -> Defaulting:
    """A Deployment that a person created, whose declared image that person then changed."""
    model = Defaulting(schema_of("Deployment"))
    model.update(PERSON, deployment(**DEFAULTS))
    model.update(PERSON, deployment("app:other", **DEFAULTS))
    return model


@pytest.mark.parametrize(
    "refusal", [pytest.param(None, id="dry-run"), pytest.param(Forbidden("no right to create", 403), id="local")]
)
def test_an_addition_during_a_correction_is_told_after_it(refusal: ApiError | None) -> None:
    """In an item of which the correction takes all other shares; it goes with the next correction."""
    obj, model = deployment(), made_by_hand()
    model.refusal = refusal
    declared, live = declare(obj), model.live
    finding = at_once(judge(model, declared, live))  # type: ignore[arg-type]
    model.update(PERSON, deployment("app:other", DEBUG, **DEFAULTS))
    at_once(put_back(model, declared, live, finding))  # type: ignore[arg-type]
    again = at_once(judge(model, declared, model.live))  # type: ignore[arg-type]
    assert told(again) == ADDED
    at_once(put_back(model, declared, model.live, again))  # type: ignore[arg-type]
    assert model.obj == deployment(**DEFAULTS)


def test_defaults_of_the_creator_go_without_an_addition() -> None:
    """They look like additions of the creator's and are none: nobody's share stays in an item that is declared."""
    obj, model = deployment(), made_by_hand()
    declared, live = declare(obj), model.live
    at_once(put_back(model, declared, live, at_once(judge(model, declared, live))))  # type: ignore[arg-type]
    assert {entry["manager"] for entry in managed_fields(model.live)} == {"setpoint"}


@each_kind
@EXAMPLES
@given(data=st.data())
def test_whatever_is_added_during_a_correction_is_told_after_it(kind: Kind, data: st.DataObject) -> None:
    """Random objects and corrections, and all that one can add: what stands of it is told, the rest is as declared."""
    obj, model = deployed(kind, data)
    early = data.draw(some_edits(obj, model.node, kind, ALL))
    late = tuple(edit for edit in extras(obj, kind) if not any(overlap(edit, one) for one in early))
    assume(early)
    model.update(PERSON, done(model.obj, early))
    declared, live = declare(obj), model.live
    finding = at_once(judge(model, declared, live))  # type: ignore[arg-type]
    model.update(PERSON, done(model.obj, late))
    at_once(put_back(model, declared, live, finding))  # type: ignore[arg-type]
    after = at_once(judge(model, declared, model.live))  # type: ignore[arg-type]
    standing = tuple(edit for edit in late if stands(edit, model.obj))
    assert told(after) == expected(standing, model.obj, obj)


def stands(edit: Edit, obj: Object) -> bool:
    """Whether what an edit has added is still there."""
    here: Any = obj
    for step in edit.steps:
        found = step_into(here, step)
        if found is None:
            return False
        here = found[1]
    return True


def test_the_deployers_share_is_no_persons() -> None:
    """Who applies the manifests keeps what it holds of an item, as it does without a late write."""
    obj, model = deployment(), Model(schema_of("Deployment"))
    model.applied(DEPLOYER, obj)
    model.update(PERSON, deployment("app:other"))
    declared, live = declare(obj), model.live
    finding = at_once(judge(model, declared, live))  # type: ignore[arg-type]
    model.update(PERSON, deployment("app:other", DEBUG))
    at_once(put_back(model, declared, live, finding))  # type: ignore[arg-type]
    assert {entry["manager"] for entry in managed_fields(model.live)} == {"setpoint", DEPLOYER, PERSON}
    assert told(at_once(judge(model, declared, model.live))) == ADDED  # type: ignore[arg-type]
