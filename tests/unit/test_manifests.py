"""Folders of manifests: what is an object, what is left out, and what is wrong where."""

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kube.declaration.manifests import load_folder, manifests_in
from services.runtime.errors import FileProblem, UserFileError

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def found_in(folder: Path) -> list[tuple[str, str, int]]:
    return [(one.obj["metadata"]["name"], Path(one.file).name, one.line) for one in load_folder(folder)]


def problem_in(folder: Path) -> list[tuple[int, str, str]]:
    with pytest.raises(UserFileError) as caught:
        load_folder(folder)
    return [(one.line, one.field, one.message) for one in caught.value.problems]


def test_all_documents_of_all_files_are_found_in_order(tmp_path: Path) -> None:
    """Recursive, by file name; hidden files, other endings, empty documents and our own kinds are left out."""
    write(tmp_path / "b.yaml", "---\n" + CONFIG % "one" + "---\n# nothing\n---\n" + CONFIG % "two")
    write(tmp_path / "a" / "x.yml", CONFIG % "deep")
    write(tmp_path / "c.json", '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}}')
    write(tmp_path / ".git" / "x.yaml", "not: a manifest")
    write(tmp_path / "notes.txt", "not a manifest")
    write(tmp_path / "z.yaml", "apiVersion: setpoint.dev/v1alpha1\nkind: Baseline\n")
    assert found_in(tmp_path) == [
        ("deep", "x.yml", 1),
        ("one", "b.yaml", 2),
        ("two", "b.yaml", 8),
        ("json", "c.json", 1),
    ]


def test_lists_are_their_items(tmp_path: Path) -> None:
    """Each item stands at its own line; a typed list's items may leave out apiVersion and kind."""
    text = """\
        apiVersion: v1
        kind: List
        items:
          - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
          - apiVersion: v1
            kind: ConfigMapList
            items:
              - metadata: {name: b}
        """
    write(tmp_path / "list.yaml", text)
    assert found_in(tmp_path) == [("a", "list.yaml", 4), ("b", "list.yaml", 8)]
    assert load_folder(tmp_path)[1].obj == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}


def test_an_exported_object_is_as_good_as_a_written_one(tmp_path: Path) -> None:
    """`kubectl get -o yaml > file` must not declare the server's bookkeeping."""
    text = """\
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
          uid: 1-2-3
          resourceVersion: "5"
          generation: 3
          creationTimestamp: null
          managedFields: []
          annotations:
            deployment.kubernetes.io/revision: "1"
            kubectl.kubernetes.io/last-applied-configuration: "{}"
            mine: kept
        spec: {replicas: 3}
        status: {replicas: 3}
        """
    write(tmp_path / "web.yaml", text)
    assert load_folder(tmp_path)[0].obj == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"mine": "kept"}},
        "spec": {"replicas": 3},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: A\nmetadata: {name: a}\n", (1, "apiVersion", "is missing or no text")),
        ("apiVersion: v1\nmetadata: {name: a}\n", (1, "kind", "is missing or no text")),
        ("apiVersion: v1\nkind: A\n", (1, "metadata", "is missing or no map")),
        ("apiVersion: v1\nkind: A\nmetadata: []\n", (3, "metadata", "is missing or no map")),
        ("apiVersion: v1\nkind: A\nmetadata: {}\n", (3, "metadata.name", "is missing")),
        ("apiVersion: v1\nkind: A\nmetadata: {name: y}\n", (3, "metadata.name", "is no text to YAML")),
        ("apiVersion: v1\nkind: A\nmetadata: {name: 12}\n", (3, "metadata.name", "is no text to YAML")),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  generateName: a-\n",
            (4, "metadata.generateName", "names a new object at each apply"),
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: 1}\n",
            (3, "metadata.namespace", "is no text to YAML"),
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels:\n    on: 'x'\n    b: true\n",
            (7, "metadata.labels.b", "is no text to YAML"),
        ),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a, annotations: []}\n", (3, "metadata.annotations", "is no map")),
        ("- a\n", (1, "", "is no Kubernetes object")),
        ("apiVersion: v1\nkind: List\nitems:\n- 3\n", (4, "items[0]", "is no Kubernetes object")),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a}\ndata:\n  x: 1\n  x: 2\n",
            (6, "data.x", "is there twice in the same map, first at 5:3"),
        ),
    ],
)
def test_a_problem_names_its_line_and_field(tmp_path: Path, text: str, expected: tuple[int, str, str]) -> None:
    """What the API server would refuse, or read otherwise than meant, is said before anything is compared."""
    write(tmp_path / "file.yaml", text)
    assert problem_in(tmp_path) == [expected]


def test_problems_never_show_values(tmp_path: Path) -> None:
    """A manifest may be a Secret's; what is wrong with it is logged."""
    write(tmp_path / "a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: !x hunter2, b: .inf}\n")
    write(tmp_path / "b.yaml", "kind: Secret\nmetadata: {name: {a: hunter2}, labels: {a: [hunter2]}}\ndata: hunter2\n")
    write(tmp_path / "c.yaml", "kind: Secret\ndata: {a: hunter2: hunter2}\n")
    with pytest.raises(UserFileError) as caught:
        load_folder(tmp_path)
    assert "hunter2" not in str(caught.value)
    assert len(caught.value.problems) >= 5


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """The kubelet links visible names into a hidden folder that it swaps."""
    write(tmp_path / "..2026" / "a.yaml", CONFIG % "a")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert found_in(tmp_path) == [("a", "a.yaml", 1)]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """No traceback for a misspelt folder."""
    assert problem_in(tmp_path / "nope") == [(1, "", "there is no such folder")]


def test_an_empty_list_is_no_manifest(tmp_path: Path) -> None:
    """Go writes an empty list as null."""
    write(tmp_path / "a.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems: null\n---\n" + CONFIG % "a")
    write(tmp_path / "b.yaml", "apiVersion: v1\nkind: List\nitems: []\nmetadata: {resourceVersion: ''}\n")
    assert found_in(tmp_path) == [("a", "a.yaml", 5)]


def test_several_json_documents_are_several_manifests(tmp_path: Path) -> None:
    """As two calls of `kubectl get -o json` leave them in one file."""
    one = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}}'
    write(tmp_path / "a.json", one % "a" + "\n" + one % "b" + one % "c")
    assert found_in(tmp_path) == [("a", "a.json", 1), ("b", "a.json", 2), ("c", "a.json", 2)]


def test_what_a_tool_built_is_told_by_object_not_by_line() -> None:
    """Lines of a text that nobody has seen lead nowhere."""
    data = (CONFIG % "a" + "---\nkind: ConfigMap\nmetadata: {name: b}\n").encode()
    with pytest.raises(UserFileError) as caught:
        manifests_in("kustomization.yaml", data, built=True)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (1, "apiVersion")
    assert problem.message == "ConfigMap b: is missing or no text"
    assert [one.line for one in manifests_in("k", (CONFIG % "a").encode(), built=True)] == [1]


PIECES = st.sampled_from(
    [
        "apiVersion: v1", "kind: List", "kind: ConfigMap", "metadata: {name: a}", "metadata:", "  name: a", "items:",
        "- a", "  - {b: c}", "---", "--- |", "...", "&a [*a]", "<<: *a", "{", "}", '{"kind": "List", "items": [{}, 3]}',
        "\t", "\r", "\ufeff", "? [a]", "!!binary x", "%YAML 9.9", "'", '"\\ud800"', "a: " + "[" * 300,
        " " * 600 + "a: 1", "items: {}", "metadata: []", "labels: {y: n}", "\x00", "data: !!float .nan", "0: 0", "~: ~",
    ]
)  # fmt: skip


FILES = st.lists(PIECES | st.text(max_size=12), max_size=14).map("\n".join) | st.text(max_size=40)


@settings(max_examples=300)
@given(FILES.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=60))
def test_no_file_ends_the_loader_otherwise_than_by_its_own_error(data: bytes) -> None:
    """Whatever is in a folder, what comes out are manifests or UserFileError with places; a service goes on."""
    problems: list[FileProblem] = []
    with TemporaryDirectory() as name:
        (Path(name) / "a.yaml").write_bytes(data)
        try:
            found = load_folder(Path(name))
        except UserFileError as error:
            found, problems = [], error.problems
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    assert all(isinstance(one.obj["metadata"]["name"], str) for one in found)
