"""How much work an object makes: twice the size, some twice the work, counted in calls and not in seconds."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from services.kube.correction.revert import put_back
from services.kube.declaration.packing import Packer, projection
from services.kube.objects import Object
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge
from services.watcher.changes import changed_paths
from tests.properties.cases import CONTROLLER, DEPLOYER, PERSON, at_once, declare
from tests.properties.model import Model
from tests.properties.schemas import schema_of
from tests.strategies import GROUP

SMALL, LARGE = 150, 600
Made = tuple[Object, Object]  # declared, live


def widget(**spec: Any) -> Object:
    metadata = {"name": "x", "namespace": "n"}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": metadata, "spec": spec}


def written(obj: Object, edited: Object, manager: str = PERSON) -> Made:
    model = Model(schema_of("Widget"))
    model.applied(DEPLOYER, obj)
    model.update(manager, edited)
    return obj, model.live


def rules(size: int, step: int = 1, first: int = 0) -> list[Object]:
    return [{"name": f"r{at}", "size": at + first} for at in range(size)][::step]


def items_changed(size: int) -> Made:
    return written(widget(rules=rules(size)), widget(rules=rules(size, -1, 1)))


def items_added(size: int) -> Made:
    return written(widget(rules=rules(1)), widget(rules=rules(size)))


def items_left(size: int) -> Made:
    obj, live = written(widget(rules=rules(size)), widget(rules=rules(size, -1, 1)), CONTROLLER)
    return {**obj, "spec": {**obj["spec"], "limit": "1"}}, live


def items_removed(size: int) -> Made:
    return written(widget(rules=rules(size)), widget(rules=rules(1)))


def members_other(size: int) -> Made:
    return written(widget(tags=[f"a{at}" for at in range(size)]), widget(tags=[f"b{at}" for at in range(size)]))


def keys_changed(size: int) -> Made:
    return written(
        widget(table={f"k{at}": "a" for at in range(size)}), widget(table={f"k{at}": "b" for at in range(size)})
    )


def keys_added(size: int) -> Made:
    return written(widget(table={"k0": "a"}), widget(table={f"k{at}": "a" for at in range(size)}))


def keys_left(size: int) -> Made:
    return written(
        widget(table={f"k{at}": "a" for at in range(size)}, limit="1"),
        widget(table={f"k{at}": "b" for at in range(size)}, limit="2"), CONTROLLER,
    )  # fmt: skip


def steps_turned(size: int) -> Made:
    steps = [{"run": str(at)} for at in range(size)]
    return written(widget(steps=steps), widget(steps=steps[::-1]))


SHAPES = [items_changed, items_added, items_left, items_removed, members_other, keys_changed, keys_added, keys_left,
          steps_turned]  # fmt: skip


def judged(made: Made, dry_run: bool) -> Finding:
    """All that is made of one object in memory: verdict, event, change, packing, plan of a correction."""
    desired, live = made
    declared, model = declare(desired), Still(live)
    finding = at_once(judge(model, declared, live, dry_run=dry_run))  # type: ignore[arg-type]
    describe(live, desired, finding.fields, b"key")
    packer = Packer()
    packer.unpack(packer.pack(projection(live)))
    list(changed_paths(projection(desired), projection(live)))
    at_once(put_back(model, declared, live, finding))  # type: ignore[arg-type]
    return finding


class Still(Model):
    """A cluster in which every write leads to what is there, at no cost of the model's own."""

    def __init__(self, live: Object) -> None:
        super().__init__(schema_of("Widget"))
        self.there = live

    async def apply(self, manifest: Object, *, dry_run: bool = False) -> Object:
        return {**self.there, "spec": manifest["spec"]}

    async def json_patch(self, *_: Any, **__: Any) -> Object:
        return self.there


def calls_of(work: Callable[[], Any]) -> int:
    """How many functions of Python and of its built-in parts are called."""
    count = 0

    def counted(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("dry_run", [pytest.param(True, id="dry-run"), pytest.param(False, id="local")])
@pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.__name__) for shape in SHAPES])
def test_work_grows_with_the_size_and_not_with_its_square(shape: Callable[[int], Made], dry_run: bool) -> None:
    """Four times the items: at most six times the calls."""
    judged(shape(SMALL), dry_run)  # what is remembered by text, such as parsed keys, is then
    small, large = shape(SMALL), shape(LARGE)
    few, many = calls_of(lambda: judged(small, dry_run)), calls_of(lambda: judged(large, dry_run))
    assert many < 6 * few, (few, many)


@pytest.mark.parametrize(
    "text", [pytest.param("1" * 2_000_000, id="digits"), pytest.param("1.1" * 700_000, id="dots"),
             pytest.param("1h" * 1_000_000 + "x", id="durations"), pytest.param("+" * 2_000_000, id="signs")]
)  # fmt: skip
@pytest.mark.parametrize("field", ["limit", "every", "port"])
@pytest.mark.timeout(120)
def test_a_long_text_is_no_amount(field: str, text: str) -> None:
    """Patterns for quantities and durations would take hours for it."""
    made = written(widget(**{field: text + "a"}), widget(**{field: text + "b"}))
    assert [diff.path for diff in judged(made, True).fields] == [f"/spec/{field}"]


def test_five_megabytes_are_no_trouble() -> None:
    """A verdict, an event and a plan for an object larger than any that a cluster stores."""
    table = {f"key-{at}": "x" * 500 for at in range(10_000)}
    finding = judged(written(widget(table=table), widget(table={**table, "key-77": "y", "by-hand": "z"})), True)
    assert sorted(diff.path for diff in finding.fields) == ["/spec/table/by-hand", "/spec/table/key-77"]
