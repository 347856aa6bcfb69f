"""Folders of manifests: what is an object, what is left out, and what is wrong where."""

from pathlib import Path
from textwrap import dedent

import pytest

from services.kube.manifests import load_folder
from services.runtime.errors import UserFileError

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
            (6, "data.x", "is there twice in the same map"),
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
