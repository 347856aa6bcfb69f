"""Manifests as files: what is written is read back as the same values, under names that every system takes."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.captures.writing import MARK, file_names, to_yaml, write_capture
from services.kube.objects import Object, ObjectKey
from services.runtime.errors import UsageError
from services.runtime.yamlfile import read_bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ODD = st.sampled_from(
    "y n no on 0o644 0x1F 1e3 1_000 12:30 2001-01-01 ~ null .inf << = - ? : # a:b 'a \"a *a &a !a %a @a `a |  > , [ { "
    "07 089 -.5 +1 1. a\nb a\n \n \nb \tb b\t a\u2028b \u0085 \ufeff \x7f \x00 \ufffe 😀 é true ".split(" ")
)
SCALARS = TEXTS | ODD | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none() | st.floats(-(2.0**53), 2.0**53)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | ODD, inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(TEXTS | ODD, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read_back_the_same(value: Object) -> None:
    """By the reader that follows Kubernetes, for whatever texts, keys and numbers."""
    documents, problems = read_bytes("f", to_yaml(value).encode())
    assert problems == []
    assert [document.value for document in documents] == [value]


def test_a_text_of_lines_is_a_block() -> None:
    """A script in a ConfigMap stays readable; shared parts are written out."""
    shared = {"a": "1"}
    text = to_yaml({"run.sh": "set -e\n\nexec x\n", "one": shared, "two": shared, "list": ["y"]})
    assert text == "run.sh: |\n  set -e\n\n  exec x\none:\n  a: '1'\ntwo:\n  a: '1'\nlist:\n  - 'y'\n"


def key(kind: str, name: str, namespace: str = "n", group: str = "") -> ObjectKey:
    return ObjectKey(group, kind, namespace, name)


def test_file_names_are_plain_and_never_shared() -> None:
    """Colons and twins that differ in group or case only get a hash of the whole key."""
    keys = [
        key("Service", "web"), key("Role", "system:x"), key("Ingress", "a"), key("Ingress", "a", group="b"),
        key("Namespace", "n", ""), key("ConfigMap", "x" * 253),
    ]  # fmt: skip
    names = file_names(keys)
    assert str(names[keys[0]]) == "n/service-web.yaml"
    assert str(names[keys[4]]) == "_cluster/namespace-n.yaml"
    assert len({str(path).lower() for path in names.values()}) == len(keys)
    assert all(":" not in str(path) and len(path.name) < 150 for path in names.values())


def config(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}}


def test_nothing_is_overwritten_unless_it_is_meant(tmp_path: Path) -> None:
    """A folder that holds something needs `force`; then only files of an earlier capture go away."""
    out = tmp_path / "out"
    write_capture(out, {key("ConfigMap", "a"): config("a"), key("ConfigMap", "b"): config("b")}, "one", force=False)
    (out / "n" / "mine.yaml").write_text("mine: 1\n")
    with pytest.raises(UsageError, match="--force"):
        write_capture(out, {}, "two", force=False)
    assert (out / "baseline.yaml").read_text() == "one"
    write_capture(out, {key("ConfigMap", "b"): config("b")}, "two", force=True)
    assert sorted(path.name for path in (out / "n").iterdir()) == ["configmap-b.yaml", "mine.yaml"]
    assert (out / "baseline.yaml").read_text() == "two"
    assert (out / "n" / "configmap-b.yaml").read_text().startswith(MARK)


def test_a_secrets_file_is_its_owners_only(tmp_path: Path) -> None:
    """Also where a readable file stood there before."""
    out = tmp_path / "out"
    secret = key("Secret", "s")
    write_capture(out, {secret: {**config("s"), "kind": "Secret"}}, "", force=False)
    (out / "n" / "secret-s.yaml").chmod(0o644)
    write_capture(out, {secret: {**config("s"), "kind": "Secret"}}, "", force=True)
    assert stat.S_IMODE((out / "n" / "secret-s.yaml").stat().st_mode) == 0o600
