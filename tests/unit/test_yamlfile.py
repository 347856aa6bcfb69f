"""YAML is read as Kubernetes reads it, and no text can take the process down."""

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.yamlfile import LARGEST, place, read_bytes, read_file, read_text
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
        pytest.param("a: &x [*x, *x]", "nested more than 100 deep", id="anchor in itself"),
        pytest.param("a: &x {<<: *x}", "contains itself", id="merge of itself"),
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)),
            "unfolds to more than 1000000 values",
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('{"a": 1}\n{"a": 2}\n', [({"a": 1}, 1), ({"a": 2}, 2)], id="a line each"),
        pytest.param('{"a": 1}{"a":\n2}[3]', [({"a": 1}, 1), ({"a": 2}, 1), ([3], 2)], id="without a break"),
        pytest.param('{"a": 1}\n---\nb: 2\n', [({"a": 1}, 1), ({"b": 2}, 3)], id="yaml after json"),
        pytest.param("{a: 1, b: [x]}\n# end\n", [({"a": 1, "b": ["x"]}, 1)], id="yaml in flow style"),
        pytest.param('{"a": "\\ud800", "b": "\x7f\ufffe"}', [({"a": "\ufffd", "b": "\x7f\ufffe"}, 1)], id="odd texts"),
        pytest.param('{"a": 1} # why\n', [({"a": 1}, 1)], id="comment after json"),
        pytest.param("---\na: 1\n---\n\ufeffb: 1\n", [({"a": 1}, 2), ({"b": 1}, 4)], id="joined files"),
        pytest.param("a: 1\r\nb: |\r\n  x\r\n  y\r\n", [({"a": 1, "b": "x\ny\n"}, 1)], id="windows line breaks"),
        pytest.param("%YAML 1.1\n---\na: y\n...\n---\nb: 1\n", [({"a": True}, 3), ({"b": 1}, 6)], id="directive, end"),
    ],
)
def test_documents_follow_each_other_as_kubernetes_takes_them(text: str, found: list[tuple[object, int]]) -> None:
    """Several JSON documents without a separator, a byte order mark inside, CRLF: each with the line it starts in."""
    documents, problems = read_text("f", text)
    assert problems == []
    assert [(document.value, document.line) for document in documents] == found


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        pytest.param('{"a": 1}\n  {"b": {"x": 1,\n "x": 2}}', 3, 2, id="twice, in the second document"),
        pytest.param('{"a": 1} {"b": {"x": 1, "x": 2}}', 1, 25, id="twice, in the same line"),
        pytest.param('{"a": 1}\n\n{"b" 2}', 3, 6, id="syntax"),
        pytest.param('{"a": 1} {"b": .inf}', 1, 16, id="value"),
        pytest.param("a: 1\n\tb: 2\n", 2, 1, id="tab"),
        pytest.param("a: 1\nb: {x: 1,\n  y: 2,\n  x: 3}\n", 4, 3, id="twice, over lines"),
    ],
)
def test_a_problem_stands_where_its_document_stands(text: str, line: int, column: int) -> None:
    """Line and column are the file's, whichever document it is in."""
    (problem,) = read_text("f", text).problems
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param("a: 1\n".encode("utf-16"), "is UTF-16, not UTF-8", id="powershell"),
        pytest.param(b"a: 1\nb: \xff\n", "is not UTF-8", id="latin"),
    ],
)
def test_other_encodings_are_named(data: bytes, said: str) -> None:
    """What an editor saved otherwise is told, with what to do."""
    (problem,) = read_bytes("f", data).problems
    assert problem.message == said
    assert "UTF-8" in problem.fix or "utf8" in problem.fix


def test_a_file_that_is_too_large_or_none_is_not_read(tmp_path: Path) -> None:
    """A service is not filled by one file, and does not wait for a pipe that nobody writes to."""
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "larger than 64 MiB" in read_file(huge).problems[0].message
    assert "no regular file" in read_file(tmp_path / "pipe.yaml").problems[0].message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(st.dictionaries(st.text(max_size=8), JSON_VALUES), min_size=1, max_size=4), st.booleans())
def test_any_json_documents_are_read_as_json_reads_them(values: list[dict[str, object]], ascii_only: bool) -> None:
    """Python's own writer makes them, with escapes or raw, all in one file."""
    text = "\n".join(json.dumps(value, ensure_ascii=ascii_only, indent=1) for value in values)
    documents, problems = read_text("f", text)
    assert problems == []
    assert [document.value for document in documents] == values
