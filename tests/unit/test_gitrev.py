"""The commit around a folder of manifests: by Git itself, and by its files where Git is not there or refuses."""

import os
import subprocess
from pathlib import Path

import pytest

from services.kube.declaration.gitrev import revision_of


def git(folder: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**environ, **who, **alone}, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree with two committed folders."""
    top = tmp_path / "tree"
    for name in ("one", "two"):
        (top / name).mkdir(parents=True)
        (top / name / "a.yaml").write_text("a: 1\n")
    git(top, "init", "--quiet", "--initial-branch", "main")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "-m", "first")
    return top


@pytest.fixture(params=["git", "files"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the binary, and without it."""
    if request.param == "files":
        monkeypatch.setattr("services.kube.declaration.gitrev.shutil.which", lambda _: None)
    return str(request.param)


def test_the_commit_is_found_from_any_depth(tree: Path, without: str) -> None:
    """A baseline's folder is rarely the top of the tree."""
    head = git(tree, "rev-parse", "HEAD")
    assert [revision_of(path) for path in (tree, tree / "one", tree / "one" / "a.yaml")] == [head] * 3


def test_only_what_differs_below_the_folder_makes_it_dirty(tree: Path) -> None:
    """An edited or a new file counts, a neighbour's does not."""
    head = git(tree, "rev-parse", "HEAD")
    (tree / "one" / "a.yaml").write_text("a: 2\n")
    assert revision_of(tree / "one") == f"{head}-dirty"
    assert revision_of(tree / "two") == head
    (tree / "two" / "new.yaml").write_text("a: 2\n")
    assert revision_of(tree / "two") == f"{head}-dirty"
    assert revision_of(tree / "two" / "a.yaml") == head


def test_what_the_commit_does_not_have_is_at_no_commit(tree: Path, tmp_path: Path) -> None:
    """Files that Git ignores or has never seen are not what the commit says, and outside Git there is none."""
    (tree / ".gitignore").write_text("out/\n")
    (tree / "out").mkdir()
    (tree / "out" / "a.yaml").write_text("a: 1\n")
    assert revision_of(tree / "out") is None
    assert revision_of(tmp_path) is None


def test_before_the_first_commit_there_is_none(tmp_path: Path, without: str) -> None:
    """HEAD names a branch that is not there yet."""
    git(tmp_path, "init", "--quiet")
    assert revision_of(tmp_path) is None


def test_linked_trees_detached_heads_and_packed_references(tree: Path, tmp_path: Path, without: str) -> None:
    """Each keeps its commit elsewhere: behind a `.git` file, in HEAD itself, in packed-refs."""
    head = git(tree, "rev-parse", "HEAD")
    git(tree, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    git(tree, "pack-refs", "--all")
    assert not (tree / ".git" / "refs" / "heads" / "main").exists()
    assert revision_of(tmp_path / "linked" / "one") == head
    assert revision_of(tree) == head
    git(tree, "checkout", "--quiet", "--detach")
    assert revision_of(tree) == head


def test_a_look_runs_nothing_of_the_repository(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its hooks nor its file system monitor, nor where the environment leads; and nothing is written."""
    proof = tmp_path / "ran"
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {proof}\n")
    script.chmod(0o755)
    for hook in ("post-index-change", "fsmonitor-watchman"):
        (tree / ".git" / "hooks" / hook).write_text(script.read_text())
        (tree / ".git" / "hooks" / hook).chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(script))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    os.utime(tree / "one" / "a.yaml", (1, 1))
    before = (tree / ".git" / "index").read_bytes()
    assert revision_of(tree) == git(tree, "-c", "core.fsmonitor=false", "rev-parse", "HEAD")
    assert not proof.exists()
    assert (tree / ".git" / "index").read_bytes() == before


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("ref: refs/heads/../../../secret", id="leads out"),
        pytest.param("ref: refs/heads/loop", id="loop"),
        pytest.param("not a hash", id="no hash"),
        pytest.param("", id="empty"),
    ],
)
def test_odd_files_are_no_commit(tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken or hostile `.git` is as good as none."""
    monkeypatch.setattr("services.kube.declaration.gitrev.shutil.which", lambda _: None)
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "secret").write_text("a" * 40)
    (tmp_path / ".git" / "HEAD").write_text(head)
    (tmp_path / ".git" / "refs" / "heads" / "loop").write_text("ref: refs/heads/loop")
    assert revision_of(tmp_path) is None
