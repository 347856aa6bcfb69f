"""CEL on events: what an expression is given of the event, and what it makes of it."""

from datetime import UTC, datetime
from typing import Any

import cel
import pytest

from services.runtime.expr import CONSTANTS, ROOT, Context, ExpressionError, compile_expression

EVENT: dict[str, Any] = {
    "name": "CrashLooping", "severity": 2, "env": "prod", "values": {"restarts": 7, "big": 2**70, "event": 1},
    "labels": {"team": "pay", "event": "a"}, "pod": "Pod/pay/api-1", "onset": datetime(2026, 11, 24, 12, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        pytest.param("event.values.restarts > 5", {"values"}, id="one part"),
        pytest.param("event.env == 'prod' && event.severity >= warning", {"env", "severity"}, id="two parts"),
        pytest.param("event . name == 'x'", {"name"}, id="spaces"),
        pytest.param("'event' == \"event.pod\"", set(), id="only in texts"),
        pytest.param("event['env'] == 'prod'", None, id="by key"),
        pytest.param("size(event) == 7", None, id="as a whole"),
        pytest.param("event.size() == 7", None, id="a call on it"),
        pytest.param("event.exists(name, name == 'env')", None, id="over its names"),
        pytest.param("[1].all(event, event > 0)", None, id="another thing of that name"),
        pytest.param("event.labels.event == 'a'", None, id="a label of that name"),
        pytest.param("event.env == 'prod' // event\n", {"env"}, id="a comment"),
        pytest.param("event.env == 'it\\'s' || event.name == 'CrashLooping'", {"env", "name"}, id="an escape"),
        pytest.param('"""a"b""" == event.name || event.env == "prod"', {"env", "name"}, id="a long text"),
    ],
)
def test_an_expression_is_given_what_it_reads(source: str, parts: set[str] | None) -> None:
    """Only those parts of the event; all of it where there is any doubt. It comes to the same."""
    expression = compile_expression(source)
    assert expression.parts == parts
    whole = cel.Context(variables={ROOT: EVENT | {"values": {"restarts": 7, "event": 1}}, **CONSTANTS})
    assert expression.evaluate(Context(EVENT)) == expression.program.execute(whole)


@pytest.mark.parametrize(
    "path", ["event.name", "event.labels.team", "event.values.restarts", "event.onset", "event.no"]
)
def test_a_path_comes_to_what_the_library_makes_of_it(path: str) -> None:
    """Texts are taken from the event directly, by far the most frequent template; everything else goes the long way."""
    event = {**EVENT, "values": {"restarts": 7}, "no": None}
    whole = cel.Context(variables={ROOT: event})
    found, expected = compile_expression(path).evaluate(Context(event)), cel.compile(path).execute(whole)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("path", ["event.workload", "event.name.length", "event.labels.absent"])
def test_a_path_that_ends_too_early_is_an_error(path: str) -> None:
    """Never an empty text."""
    with pytest.raises(ExpressionError, match="failed"):
        compile_expression(path).evaluate(Context(EVENT))


def test_a_part_that_is_not_there_fails_as_before() -> None:
    """What is not known of an event is an error to whoever reads it, and no empty value; `has` may ask for it."""
    context = Context(EVENT)
    with pytest.raises(ExpressionError, match="a key is missing"):
        compile_expression("event.workload").evaluate(context)
    assert compile_expression("has(event.workload)").truth(context) is False
    assert compile_expression("has(event.pod)").truth(context) is True


def test_many_expressions_share_what_they_read() -> None:
    """Handing an event over is what costs: it is done once for each set of parts."""
    context = Context(EVENT)
    for source in ("event.values.restarts > 5", "event.values.restarts < 9", "event.env == 'prod'"):
        assert compile_expression(source).truth(context)
    assert set(context.made) == {(frozenset({"values"}), False), (frozenset({"env"}), False)}


def test_severities_are_known_where_one_is_named() -> None:
    """Whatever else was asked of the same part of the event before; they are not handed over where none is."""
    context = Context({**EVENT, "severity": 2})
    assert compile_expression("event.severity == 2").truth(context)
    assert compile_expression("event.severity >= warning && event.severity < critical").truth(context)
    assert compile_expression("[0, 1].exists(info, info == event.severity - 1)").truth(context)


def test_numbers_beyond_64_bits_become_floating_point() -> None:
    """The library would refuse them."""
    assert compile_expression("event.values.big").evaluate(Context(EVENT)) == float(2**70)
