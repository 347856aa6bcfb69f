"""YAML is read as Kubernetes reads it, and no text can take the process down."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.yamlfile import place, read_text
from services.runtime.yamlscalars import key_text, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("0o644", 420),
        ("0644", 420),
        ("089", 89),
        ("0x1F", 31),
        ("-0x1F", -31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.0", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1),
        ("1e400", "1e400"),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        ("10Mi", "10Mi"),
        ("100m", "100m"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 9223372036854775808.0),
        ("99999999999999999999999", 1e23),
        ("0xFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF"),
        ("y", True),
        ("N", False),
        ("on", True),
        ("Off", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("", None),
        ("Infinity", "Infinity"),
        ("=", "="),
        ("-", "-"),
    ],
)
def test_plain_scalars_mean_what_they_mean_to_the_server(text: str, value: object) -> None:
    """Checked against sigs.k8s.io/yaml 1.6.0 itself, with these and 6 000 random texts."""
    found = resolve_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "key"),
    [("y", "true"), ("off", "false"), ("12", "12"), ("0o10", "8"), ("1.10", "1.1"), ("1e6", "1e+06"), ("~", None)],
)
def test_keys_are_text_as_go_writes_them(text: str, key: str | None) -> None:
    """JSON has only text as keys; what go-yaml resolves a key to is written back as text."""
    assert key_text(text) == key


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_is_read_exactly(number: int) -> None:
    """No integer that the API server can hold goes through a float."""
    assert resolve_plain(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_keeps_its_value(number: float) -> None:
    """Python's shortest form is read back as the same number, or as the integer it is."""
    found = resolve_plain(repr(number))
    assert isinstance(found, int | float)
    assert math.isclose(found, number, rel_tol=1e-15, abs_tol=0)


def test_quotes_and_tags_decide_over_looks() -> None:
    """What is quoted or tagged as text stays text."""
    text = "a: '1'\nb: \"y\"\nc: !!str 5\nd: !!int 7\ne: !!binary aGk=\nf: |\n  1\n"
    assert read_text("f", text).documents[0].value == {"a": "1", "b": "y", "c": "5", "d": 7, "e": "hi", "f": "1\n"}


def test_anchors_and_merge_keys_follow_go_yaml() -> None:
    """A merge key takes effect where it stands; in a list of maps the earlier one wins."""
    text = "a: &a {x: 1, z: 2}\nb: {<<: *a, x: 6}\nc: {x: 6, <<: *a}\nd: {<<: [{x: 1}, {x: 2, k: 3}]}\ne: *a\n"
    value = read_text("f", text).documents[0].value
    assert value["b"] == {"x": 6, "z": 2}
    assert value["c"] == {"x": 1, "z": 2}
    assert value["d"] == {"x": 1, "k": 3}
    assert value["e"] == {"x": 1, "z": 2}
    assert value["e"] is not value["a"]


def test_json_is_read_with_its_tabs_and_escapes() -> None:
    """Python and kubectl write JSON that strict YAML readers refuse: tabs, `\\/`, surrogate pairs."""
    text = '{\n\t"a": "\\/ \\ud83d\\ude00 \\\\ud83d\\\\ude00",\n\t"b": 1e2\n}'
    assert read_text("f", text).documents[0].value == {"a": "/ 😀 \\ud83d\\ude00", "b": 100}


def test_places_are_found_through_lists_and_merges() -> None:
    """A value's place is its key's; an absent one's is its nearest parent's."""
    node = read_text("f", "a: &a\n  b:\n    - c: 1\n    - d: 2\ne:\n  <<: *a\n").documents[0].node
    assert place(node, ("a", "b", 1, "d")) == (4, 7)
    assert place(node, ("e", "b")) == (2, 3)
    assert place(node, ("a", "b", 1, "zzz")) == (4, 7)
    assert place(node, ("nope",)) == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[" * 300_000, "nested more than 100 deep", id="flow bomb"),
        pytest.param("- " * 300_000, "nested more than 100 deep", id="block bomb"),
        pytest.param("a: &x [*x, *x]", "aliases unfold without end", id="anchor in itself"),
        pytest.param("a: &x {<<: *x}", "contains itself", id="merge of itself"),
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)),
            "aliases unfold without end",
            id="billion laughs",
        ),
        pytest.param("a: .nan", "no number that JSON has", id="nan"),
        pytest.param("a: !Ref b", "has a tag that does not fit", id="foreign tag"),
        pytest.param("a: !!int b", "has a tag that does not fit", id="wrong tag"),
        pytest.param("a: !!binary '%%%x'", "is not base64", id="bad base64"),
        pytest.param("? [a]\n: b", "neither text nor a number", id="list as key"),
        pytest.param("<<: 3", "takes a map or a list of maps", id="merge of a number"),
        pytest.param("a: 1\n\x07", "control characters", id="control character"),
        pytest.param("a: *b", "undefined alias", id="undefined alias"),
        pytest.param("1: a\n'1': b", "twice", id="keys equal as text"),
    ],
)
def test_hostile_and_broken_texts_are_problems(text: str, message: str) -> None:
    """Whatever a file holds, the service that reads it goes on."""
    documents, problems = read_text("f", text)
    assert documents == []
    assert message in str(problems[0])


@given(st.text(alphabet="ab01:-[]{}&*!|>'\"#%@? \n\t\\.,<\ud83d\U0001f600", max_size=60))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    """Problems are values; anything raised here would be a crash of a service."""
    read_text("f", text)
