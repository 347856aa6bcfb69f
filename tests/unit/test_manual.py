"""What is said of the actions is what they are: parameters have meanings, examples load, the page is current."""

from pathlib import Path
from textwrap import indent

import pytest

from schemas.actions import ACTIONS
from services.cli.main import main
from services.reconciler.policies.checking import wrongs
from services.reconciler.policies.manual import Entry, entries, right_in_words, written
from services.runtime.rulefiles import load_rules
from tests.actions_page import PAGE, page

EACH = [pytest.param(entry, id=entry.name) for entry in entries()]
HEAD = "apiVersion: setpoint.dev/v1alpha1\nkind: Policy\nmetadata: {name: example}\nspec:\n"


def test_every_action_has_an_entry() -> None:
    """By the name that policies write."""
    assert [entry.name for entry in entries()] == sorted(written(action) for action in ACTIONS)


@pytest.mark.parametrize("entry", EACH)
def test_an_example_loads_as_a_policy(entry: Entry, tmp_path: Path) -> None:
    """Read as the services read it, with types unconverted and every expression compiled."""
    trigger = "{drift: {baseline: '*'}}" if entry.answers == "drift" else "{alert: Bad}"
    step = indent(entry.example, "      ")[6:]
    undo = "      undo: auto\n" if entry.reversible else ""
    file = tmp_path / "policy.yaml"
    file.write_text(f"{HEAD}  trigger: {trigger}\n  do:\n    - {step}\n{undo}", encoding="utf-8")
    (policy,) = load_rules(file, wrongs).policies
    assert [written(one.action) for one in policy.spec.do] == [entry.name]


@pytest.mark.parametrize("entry", EACH)
def test_every_parameter_is_explained(entry: Entry) -> None:
    """Its type and its meaning in words, and its default or that it must be given."""
    assert all(one.type and one.meaning for one in entry.parameters), entry.parameters
    assert entry.parameters[-1].name == "timeout"


@pytest.mark.parametrize(
    ("name", "parameter", "type", "default"),
    [
        pytest.param("scale", "replicas", "number or ${…}", "", id="optional"),
        pytest.param("scale", "workload", "object or ${…}", "${event.workload}", id="template"),
        pytest.param("isolate", "engine", "kubernetes or cilium or calico", "kubernetes", id="words"),
        pytest.param("isolate", "for", "duration", "1h", id="duration"),
        pytest.param("runJob", "cronJob", "object or ${…}", None, id="required"),
        pytest.param("deletePod", "force", "true or false", "false", id="truth"),
        pytest.param("veleroBackup", "namespaces", "list of text or ${…}", "[${event.namespace}]", id="list"),
    ],
)
def test_types_and_defaults_are_as_one_writes_them(name: str, parameter: str, type: str, default: str | None) -> None:
    """Not as the models hold them."""
    entry = next(one for one in entries() if one.name == name)
    found = next(one for one in entry.parameters if one.name == parameter)
    assert (found.type, found.default) == (type, default)


def test_the_page_is_current() -> None:
    """docs/actions.md is made from the registry: python -m tests.actions_page."""
    assert PAGE.read_text(encoding="utf-8") == page(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", EACH)
def test_the_command_shows_one_in_full(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters, rights and the example."""
    assert main(["actions", entry.name]) == 0
    out = capsys.readouterr().out
    assert all(one.name in out for one in entry.parameters)
    assert all(right_in_words(rule) in out for rule in entry.rights)
    assert all(line.strip() in out for line in entry.example.splitlines())


def test_the_command_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with what each does."""
    assert main(["actions"]) == 0
    out = capsys.readouterr().out
    assert all(entry.name in out for entry in entries())


@pytest.mark.parametrize("name", ["delete-pod", "deletePod", "DELETEPOD"])
def test_an_action_is_found_by_either_name(name: str) -> None:
    """As policies write it and as events carry it."""
    assert main(["actions", name]) == 0


def test_an_unknown_action_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """With what was probably meant."""
    assert main(["actions", "restrat"]) == 2
    assert "Did you mean restart?" in capsys.readouterr().err
