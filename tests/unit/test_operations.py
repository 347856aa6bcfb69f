"""Every action that policies can name is there, explains itself, and says what rights it needs."""

from typing import Any

import pytest
import yaml

from schemas.actions import ACTIONS
from schemas.policy import Step
from schemas.template import FILLED
from services.reconciler.actions.operation import Operation
from services.reconciler.actions.operations import OPERATIONS

DRIFT = {"revert", "prune"}
EACH = [pytest.param(operation, id=name) for name, operation in OPERATIONS.items()]


def test_every_action_of_a_policy_is_there() -> None:
    """A policy that can be written can be carried out: nothing is missing, nothing is beside it."""
    assert set(OPERATIONS) | DRIFT == set(ACTIONS)
    assert not set(OPERATIONS) & DRIFT


@pytest.mark.parametrize("operation", EACH)
def test_an_example_is_a_step_of_a_policy(operation: Operation[Any]) -> None:
    """What `setpoint actions` prints can be pasted into a policy as it stands."""
    step = Step.model_validate(yaml.safe_load(operation.example))
    assert step.action == operation.name


@pytest.mark.parametrize("operation", EACH)
def test_rights_are_told_before_and_after_templates_are_filled(operation: Operation[Any]) -> None:
    """A role is written from policies, whose templates are not filled; rights are groups, plurals and known verbs."""
    step = Step.model_validate(yaml.safe_load(operation.example))
    parameters = getattr(step, operation.name.replace("-", "_"))
    for rule in operation.rules(parameters):
        assert set(rule.verbs) <= {"get", "list", "create", "patch", "update", "delete"}
        assert rule.resource == rule.resource.lower()
        assert "${" not in rule.group + rule.resource


@pytest.mark.parametrize("action", ["label", "patch", "restart", "scale"])
def test_a_named_object_needs_rights_on_its_own_kind_only(action: str) -> None:
    """The widest rule is for templates, which may come to anything; a policy that names its object needs less."""
    field = "object" if action in ("label", "patch") else "workload"
    needed: dict[str, Any] = {"label": {"set": {"a": "b"}}, "patch": {"merge": {"data": {}}}, "scale": {"by": 1}}
    more = needed.get(action, {})
    for text, wide in (("Deployment/payments/api", False), (f"${{event.{field}}}", True)):
        parameters = ACTIONS[action].model_validate(
            {field: text, **more}, context=None if wide else FILLED
        )  # fmt: skip
        rules = [rule for rule in OPERATIONS[action].rules(parameters) if "patch" in rule.verbs]
        assert (len(rules) == 1 and rules[0].resource == "deployments") is not wide
