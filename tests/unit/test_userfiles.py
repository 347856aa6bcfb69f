"""Users' files: everything wrong is named with its place and what would be right."""

from pathlib import Path
from textwrap import dedent

import pytest

from schemas.baseline import Baseline
from schemas.policy import Policy
from services.runtime.errors import UserFileError
from services.runtime.userfiles import load_documents

HEAD = "apiVersion: setpoint.dev/v1alpha1\n"
POLICY = HEAD + "kind: Policy\nmetadata: {name: heal}\nspec:\n  trigger: {drift: {baseline: payments}}\n"
ALL_KINDS = "Baseline or Policy or MaintenanceWindow or Group"
BASELINE = HEAD + "kind: Baseline\nmetadata: {name: payments}\nspec: {source: {folder: ./payments}}\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return path


def problems_of(path: Path) -> list[tuple[int, str, str, str]]:
    """(line, field, message, fix) of every problem."""
    with pytest.raises(UserFileError) as caught:
        load_documents(path)
    return [(one.line, one.field, one.message, one.fix) for one in caught.value.problems]


def test_several_documents_of_one_file_keep_their_lines(tmp_path: Path) -> None:
    """A file may hold many documents of all kinds; each knows where it starts."""
    found = load_documents(write(tmp_path / "all.yaml", f"# mine\n{BASELINE}---\n---\n{POLICY}"))
    assert [(type(entry.model), entry.line) for entry in found] == [(Baseline, 2), (Policy, 8)]


def test_a_folder_is_read_recursively_and_leaves_foreign_documents_alone(tmp_path: Path) -> None:
    """Manifests, other groups' policies and hidden files beside our documents are none of our business."""
    write(tmp_path / "deep" / "er" / "baseline.yml", BASELINE)
    write(tmp_path / "kyverno.yaml", "apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: x}\n")
    write(tmp_path / ".hidden" / "policy.yaml", "apiVersion: setpoint.dev/v1alpha1\nkind: Polcy\n")
    write(tmp_path / "empty.yaml", "# nothing here\n")
    write(tmp_path / "network.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {a: 1}\n")
    assert [entry.file for entry in load_documents(tmp_path)] == [tmp_path / "deep" / "er" / "baseline.yml"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            POLICY + "  limts: {oncePer: 1h}\n",
            (6, "spec.limts", "unknown key", "did you mean limits?"),
            id="unknown key",
        ),
        pytest.param(
            POLICY + "  limits: {once_per: 1h}\n",
            (6, "spec.limits.once_per", "unknown key", "did you mean oncePer?"),
            id="snake case",
        ),
        pytest.param(
            POLICY + "  xyz: 1\n",
            (6, "spec.xyz", "unknown key", "known are trigger, match, when, limits, approve, do, else, mode"),
            id="nothing close",
        ),
        pytest.param(
            POLICY + "  match: {name: [12]}\n",
            (6, "spec.match.name[0]", "must be text, not a number", "put it in quotes"),
            id="number for text",
        ),
        pytest.param(
            POLICY + "  match: {name: [yes]}\n",
            (6, "spec.match.name[0]", "must be text, not true or false", "put it in quotes"),
            id="bool for text",
        ),
        pytest.param(
            POLICY + "  limits: {attempts: {max: '3', within: 1h}}\n",
            (6, "spec.limits.attempts.max", "must be a number, not a text", "write it without quotes"),
            id="text for number",
        ),
        pytest.param(
            POLICY + "  match: {namespace: payments}\n",
            (6, "spec.match.namespace", "must be a list, not a text", "write it as [one, two], or one '- item' a line"),
            id="text for list",
        ),
        pytest.param(
            POLICY + "  limits: {oncePer: 5}\n",
            (6, "spec.limits.oncePer", "a duration needs its unit, such as 30s, 5m or 1h: 5", ""),
            id="duration without unit",
        ),
        pytest.param(
            POLICY + "  mode: enforced\n",
            (6, "spec.mode", "unknown value 'enforced'", "did you mean enforce?"),
            id="unknown word",
        ),
        pytest.param(
            HEAD + "kind: Policy\nmetadata: {name: a}\nspec: {}\n",
            (4, "spec.trigger", "is missing", "add trigger"),
            id="missing key",
        ),
        pytest.param(
            HEAD + "kind: Polcy\n", (2, "kind", "unknown kind 'Polcy'", "did you mean Policy?"), id="unknown kind"
        ),
        pytest.param(HEAD + "metadata: {}\n", (1, "kind", "is missing", "add kind: " + ALL_KINDS), id="no kind"),
        pytest.param(
            "kind: Policy\n",
            (1, "apiVersion", "is missing", "add apiVersion: setpoint.dev/v1alpha1"),
            id="no apiVersion",
        ),
        pytest.param(
            "apiVersion: setpont.dev/v1alpha1\nkind: Policy\n",
            (1, "apiVersion", "unknown group in 'setpont.dev/v1alpha1'", "did you mean setpoint.dev/v1alpha1?"),
            id="misspelt group",
        ),
        pytest.param(
            "apiVersion: setpoint.dev/v2\nkind: Policy\n",
            (1, "apiVersion", "unknown version 'setpoint.dev/v2'", "this release reads setpoint.dev/v1alpha1"),
            id="other version",
        ),
        pytest.param(
            POLICY + "  mode: observe\n  mode: enforce\n",
            (7, "spec.mode", "is there twice in the same map, first at 6:3", "remove one of the two"),
            id="duplicate key",
        ),
        pytest.param(
            "- 1\n",
            (1, "", "the document is no map", "start it with apiVersion: setpoint.dev/v1alpha1"),
            id="list",
        ),
        pytest.param(
            "a:\n\t- b\n",
            (
                2,
                "",
                "is not valid YAML: found character that cannot start any token",
                "indent with spaces; YAML has no tabs there",
            ),
            id="tab",
        ),
    ],
)
def test_a_problem_names_line_field_and_fix(tmp_path: Path, text: str, expected: tuple[int, str, str, str]) -> None:
    """Each mistake people make leads to one problem at the right line that says what would be right."""
    assert problems_of(write(tmp_path / "file.yaml", text)) == [expected]


def test_problems_of_all_files_come_at_once_and_in_order(tmp_path: Path) -> None:
    """Nobody should have to run the check once a mistake."""
    write(tmp_path / "b.yaml", POLICY + "  mode: off\n  limts: {}\n")
    write(tmp_path / "a.yaml", "setpoint: [\n")
    write(tmp_path / "c.yaml", POLICY + "---\n" + POLICY)
    with pytest.raises(UserFileError) as caught:
        load_documents(tmp_path)
    places = [(Path(one.file).name, one.line) for one in caught.value.problems]
    assert places == [("a.yaml", 2), ("b.yaml", 6), ("b.yaml", 7), ("c.yaml", 9)]


def test_a_name_given_twice_names_both_places(tmp_path: Path) -> None:
    """Two policies of one name would make the order of files decide."""
    first = write(tmp_path / "a.yaml", POLICY)
    write(tmp_path / "b.yaml", POLICY)
    assert problems_of(tmp_path) == [
        (3, "metadata.name", f"Policy 'heal' is already declared at {first}:1", "give it another name")
    ]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n---\n", "apiVersion: v1\nkind: Pod\n"])
def test_a_file_without_documents_is_a_mistake(tmp_path: Path, text: str) -> None:
    """An empty file that was named means that nothing would be done, silently."""
    assert "holds no setpoint.dev document" in problems_of(write(tmp_path / "file.yaml", text))[0][2]


def test_a_path_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """No traceback for a misspelt path."""
    assert problems_of(tmp_path / "nope") == [(1, "", "there is no such file or folder", "correct the path")]


def test_a_file_that_is_no_text_is_a_problem_of_that_line(tmp_path: Path) -> None:
    """Latin-1 and binary files are named, not a crash."""
    (tmp_path / "latin.yaml").write_bytes(b"setpoint: 1\nb: caf\xe9\n")
    assert problems_of(tmp_path) == [(2, "", "is not UTF-8", "save the file as UTF-8")]


def test_the_examples_of_the_reference_are_valid(tmp_path: Path) -> None:
    """What people copy out of the documentation works."""
    text = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    kinds = [type(entry.model) for entry in load_documents(write(tmp_path / "docs.yaml", "---\n".join(blocks)))]
    assert kinds == [Baseline, Policy]
