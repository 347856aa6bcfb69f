"""Who writes into what is declared, and whom a baseline might trust."""

from datetime import UTC, datetime

import pytest

from services.kube.captures.learn import Lesson, Standing, snippet
from services.kube.comparison.schema import UNKNOWN
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, key_of


def declared(manager: str | None = None, *trusted: str, baseline: str = "b") -> Declared:
    manifest: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1"}}
    packer = Packer()
    trust = frozenset(trusted) | ({manager} if manager else frozenset())
    return Declared(baseline, key_of(manifest), "v1", packer.pack(manifest), packer, (), trust, manager, "f", 1, "d")


def live(*writers: tuple[str, str, str], operation: str = "Apply") -> Object:
    """Each writer with its key and the hour it wrote in."""
    entries = [
        {
            "manager": manager, "operation": operation, "time": f"2026-11-24T{hour}:00:00Z",
            "fieldsV1": {"f:data": {f"f:{key}": {}}},
        }
        for manager, key, hour in writers
    ]  # fmt: skip
    data = {key: "1" for _, key, _ in writers}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": entries}, "data": data}


def test_writers_are_counted_with_their_first_and_last_time() -> None:
    """Over all objects of a baseline; a status is no write."""
    lesson = Lesson()
    first, second = live(("op", "x", "10"), ("op", "a", "12")), live(("op", "y", "09"))
    first["metadata"]["managedFields"].append({"manager": "s", "subresource": "status", "fieldsV1": {}})
    lesson.see(declared(), first, UNKNOWN)
    lesson.see(declared(), second, UNKNOWN)
    (writer,) = lesson.found()
    assert (writer.manager, writer.objects, writer.fields, writer.added) == ("op", 2, 3, 2)
    assert (writer.first, writer.last) == (
        datetime(2026, 11, 24, 9, tzinfo=UTC),
        datetime(2026, 11, 24, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("manager", "standing"),
    [
        ("deployer", Standing.APPLIER),
        ("robot-1", Standing.TRUSTED),
        ("kube-controller-manager", Standing.KUBERNETES),
        ("cert-manager-cainjector", Standing.OPERATOR),
        ("kubectl-edit", Standing.PERSON),
        ("setpoint", Standing.SETPOINT),
        ("who-knows", Standing.UNKNOWN),
    ],
)
def test_a_managers_standing_is_told_by_its_name(manager: str, standing: Standing) -> None:
    """The shipped lists, the baseline, and else unknown."""
    lesson = Lesson()
    lesson.see(declared("deployer", "robot-*"), live((manager, "x", "10")), UNKNOWN)
    assert [one.standing for one in lesson.found()] == [standing]


def test_only_unknown_managers_that_added_something_are_proposed() -> None:
    """A person's tool never; who changed declared values only would have its changes excused."""
    lesson = Lesson()
    writers = (("ci", "a", "09"), ("op", "x", "10"), ("kubectl-edit", "y", "11"))
    for _ in range(2):
        lesson.see(declared(), live(*writers), UNKNOWN)
    lesson.see(declared(), live(("ci", "a", "09")), UNKNOWN)
    assert snippet(lesson.found()) == {"b": {"manager": "ci", "trustedManagers": ["op"]}}


def test_what_a_baseline_says_already_is_not_proposed_again() -> None:
    """Each baseline gets what it lacks; nothing to say is nothing."""
    lesson = Lesson()
    lesson.see(declared("ci", baseline="one"), live(("ci", "a", "09"), ("op", "x", "10")), UNKNOWN)
    lesson.see(declared("ci", "op", baseline="two"), live(("ci", "a", "09"), ("op", "x", "10")), UNKNOWN)
    assert snippet(lesson.found()) == {"one": {"trustedManagers": ["op"]}}
