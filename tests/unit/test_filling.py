"""Values of an event in an action's parameters: each is one typed value, whatever its text looks like."""

from typing import Any

import pytest

from schemas.actions import Notify, Patch, Restart, Scale
from services.runtime.expr import Context
from services.runtime.filling import NotFilled, fill

HOSTILE = [
    pytest.param("${event.secret}", id="a-template"),
    pytest.param("$(id) `id` ; rm -rf / && x", id="a-shells"),
    pytest.param("{{ .secret }} %(secret)s {secret}", id="other-templates"),
    pytest.param("' + event.secret + '", id="an-expressions"),
]


def context(**event: Any) -> Context:
    return Context({"secret": "hunter2", **event})


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_an_event_stays_that_text(text: str) -> None:
    """It is not looked into again, neither by itself nor as a part of a longer one."""
    plain, joined = (
        fill(Notify.model_validate({"to": "#ops", "message": message}), context(name=text)).message
        for message in ("${event.name}", "${'about ' + event.name}")
    )
    assert (plain, joined) == (text, f"about {text}")


@pytest.mark.parametrize("text", HOSTILE)
def test_nor_is_it_looked_into_inside_of_a_body(text: str) -> None:
    """At whatever depth, and never as a key."""
    patch = Patch.model_validate(
        {"object": "Deployment/pay/api", "merge": {"metadata": {"annotations": {"a": "${event.name}"}}}}
    )
    assert fill(patch, context(name=text)).merge == {"metadata": {"annotations": {"a": text}}}


@pytest.mark.parametrize(
    "name",
    [
        "", "..", "Pod/../../secrets/x", "Pod/pay/a%2Fb", "Pod/pay/a?x=1", "Pod/pay/a,b", "Pod/pay/a b", "Pod/pay/a\n",
        "/api/v1", "Pod/pay/${event.secret}", "Pod/pay/" + "a" * 300,
    ],
)  # fmt: skip
def test_an_object_is_a_reference_or_nothing(name: str) -> None:
    """And what was given is not repeated to whoever reads the reason."""
    with pytest.raises(NotFilled) as raised:
        fill(Restart(), context(workload=name))
    assert "hunter2" not in str(raised.value)
    assert not name or name not in str(raised.value)


@pytest.mark.parametrize("count", ["three", "3; drop", -1, 2**70, 1.5, None, [3], {"a": 1}])
def test_a_number_is_a_number_or_nothing(count: Any) -> None:
    """A text that looks like one would be somebody's guess."""
    scale = Scale.model_validate({"workload": "Deployment/pay/api", "replicas": "${event.count}"})
    with pytest.raises(NotFilled):
        fill(scale, context(count=count))
