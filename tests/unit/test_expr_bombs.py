"""Bombs in conditions: a small text that would run long or grow large is refused before it is evaluated.

The library holds the GIL while it evaluates, so one such expression would stop a whole reconciler.
"""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.expr import Context, ExpressionError, compile_expression
from services.runtime.exprcost import parted, too_costly

HUNDREDS = f"[{','.join(['1'] * 480)}]"
FULL: dict[str, Any] = {
    "name": "x" * 1024, "summary": "s" * 500, "labels": {f"{'l' * 250}{number}": "v" * 1024 for number in range(64)},
    "values": {f"v{number}": "v" * 1024 for number in range(64)},
}  # fmt: skip
"""The largest event that an alert can become."""

BOMBS = [
    pytest.param("event.name == '" + "a" * 2048 + "'", id="long"),
    pytest.param("(" * 41 + "1" + ")" * 41, id="nested-brackets"),
    pytest.param("[[1]]" + ".map(x, x + x)" * 40 + ".size() == 1", id="doubling-lists"),
    pytest.param("['a']" + ".map(x, x + x)" * 40 + ".size() == 1", id="doubling-texts"),
    pytest.param("[1].all(a, [1].all(b, [1].all(c, true)))", id="three-deep"),
    pytest.param("[1].all(a, [1].all" + " " * 60 + "(b, [1].all// c\n(c, true)))", id="blanks-and-comments"),
    pytest.param(r"""r"\" == '' || [1].all(a, [1].all(b, [1].all(c, true))) || r"\" == ''""", id="hidden-by-raw-texts"),
    pytest.param('""" " """ == "" || [1].all(a, [1].all(b, [1].all(c, 1 > 0))) || """ " """ == ""', id="long-texts"),
    pytest.param(f"{HUNDREDS}.all(x, {HUNDREDS}.all(y, x == y))", id="written-out-lists"),
    pytest.param("||".join(["event.labels.all(x, true)"] * 5), id="one-after-the-other"),
    pytest.param(f"[event.name].exists(x, [{'+'.join('x' * 200)}].exists(y, {'+'.join('y' * 200)} == y))", id="sums"),
    pytest.param(r"event.name.matches('(\\w{99}){99}')", id="large-pattern"),
    pytest.param(r"event.name.matches('((((a{100}){100}){100}){100})')", id="repeated-letters"),
    pytest.param("||".join([r"event.name.matches('\\w{9}')"] * 9), id="many-patterns"),
    pytest.param(r"event.labels.all(k, k.matches('\\w\\w\\w\\w\\w\\w\\w\\w\\w'))", id="a-pattern-for-each"),
    pytest.param("event.labels.all(k, event.labels.all(l, k.matches('a')))", id="a-pattern-for-each-pair"),
    pytest.param("event.name.matches(event.summary)", id="the-senders-own-pattern"),
    pytest.param("matches(event.name, event.summary)", id="the-senders-own-as-a-function"),
]


@pytest.mark.parametrize("source", BOMBS)
def test_a_bomb_is_refused(source: str) -> None:
    """When a policy is read, with words on which bound it passes."""
    with pytest.raises(ExpressionError):
        compile_expression(source)
    assert too_costly(source)


HEAVY = [
    pytest.param("event.labels.all(x, event.labels.all(y, event.labels[x] == event.labels[y]))", id="each-pair"),
    pytest.param("event.labels.map(x, event.labels.filter(y, event.labels[y] != x)).size() == 64", id="list-of-lists"),
    pytest.param(f"[{','.join(['1'] * 50)}].all(x, [{','.join(['1'] * 50)}].all(y, x == y))", id="written-out"),
    pytest.param(r"event.labels.all(k, event.labels[k].matches('(\\w|\\d|v){2}'))", id="a-pattern-for-each"),
    pytest.param(r"event.name.matches('^\\w{90}')", id="a-pattern"),
    pytest.param("[event.name].exists(x, [x+x+x+x+x+x+x+x+x].exists(y, y+y+y+y+y+y+y+y+y != ''))", id="sums"),
]


@pytest.mark.parametrize("source", HEAVY)
def test_what_is_let_through_ends_soon_on_the_largest_event(source: str) -> None:
    """These come near the bounds; the time is what it itself takes of a slow machine."""
    expression, context = compile_expression(source), Context(FULL)
    began = time.thread_time()
    assert isinstance(expression.truth(context), bool)
    assert time.thread_time() - began < 2.0


@pytest.mark.parametrize(
    "source",
    [
        "event.severity >= warning && event.labels.team == 'pay'",
        "event.name.matches('^Kube(Pod|Job).*') || event.env in ['prod', 'stage']",
        "event.labels.exists(k, k.startsWith('app.')) && !event.labels.exists(k, k.matches('^canary'))",
        "'a // b' == event.summary || event.summary == 'it\\'s (((((('",
        "event.namespace in ['" + "', '".join(f"team-{number}" for number in range(150)) + "']",
    ],
)
def test_what_people_write_is_no_bomb(source: str) -> None:
    """Conditions as in the documentation, long lists of names among them."""
    assert too_costly(source) is None
    compile_expression(source)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        pytest.param("'a' == \"b\"", '"" == ""', id="both-quotes"),
        pytest.param(r"'it\'s' == x", '"" == x', id="escape"),
        pytest.param(r"r'\' == x", '"" == x', id="raw"),
        pytest.param('"""a "b" c""" == x', '"" == x', id="long-text"),
        pytest.param("a // 'b'\n== c", "a == c", id="comment"),
        pytest.param("'// no' == c", '"" == c', id="no-comment"),
        pytest.param("a\n\t ==   b", "a == b", id="blanks"),
    ],
)
def test_texts_are_told_from_code(source: str, code: str) -> None:
    """As CEL's own grammar has it."""
    assert parted(source).code == code


@given(st.text(alphabet="abx.()[]{},+'\"\\/r \n&|=<1", max_size=300))
@settings(max_examples=300)
def test_no_text_makes_the_reading_of_an_expression_fail_in_another_way(source: str) -> None:
    """Whatever stands in a policy, it compiles or it is a problem of that policy."""
    with suppress(ExpressionError):
        assert compile_expression(source).source == source
