"""As a plug-in of kubectl: reading commands take its current context, all others want the cluster named."""

from pathlib import Path

import pytest

from services.cli.plugin import implied_context
from services.kube.declaration.kustomize import find_tool


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "config"
    file.write_text("current-context: staging\n")
    return file


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(["diff"], "staging", id="diff"),
        pytest.param(["baseline", "capture", "--out", "x"], "staging", id="capture"),
        pytest.param(["diff", "--context", "other"], None, id="named"),
        pytest.param(["diff", "--kubeconfig=x"], None, id="another-file"),
        pytest.param(["diff", "--help"], None, id="help"),
        pytest.param(["up"], None, id="acts"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_the_current_context_is_taken_by_reading_commands_only(
    kubeconfig: Path, arguments: list[str], found: str | None
) -> None:
    """Naming the plug-in names the cluster for a look, not for an action."""
    assert implied_context(arguments, {"KUBECONFIG": str(kubeconfig)}) == found


def test_a_named_context_wins_and_missing_files_are_passed_over(kubeconfig: Path, tmp_path: Path) -> None:
    """KUBECONFIG may list several files; the first that names a context counts, as for kubectl."""
    (tmp_path / "empty").write_text("{}\n")
    listed = f"{tmp_path / 'none'}:{tmp_path / 'empty'}:{kubeconfig}"
    assert implied_context(["diff"], {"KUBECONFIG": listed}) == "staging"
    assert implied_context(["diff"], {"KUBECONFIG": listed, "SETPOINT_CONTEXT": "mine"}) is None
    assert implied_context(["diff"], {"KUBECONFIG": str(tmp_path / "none")}) is None


def executable(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_kustomize_is_found_where_it_is_named_and_then_on_path(tmp_path: Path) -> None:
    """The environment first, then kustomize, then kubectl, which has it built in; and nothing is an answer too."""
    kubectl = executable(tmp_path / "bin" / "kubectl")
    path = {"PATH": str(tmp_path / "bin")}
    assert find_tool({"PATH": str(tmp_path)}) is None
    assert find_tool(path) == (kubectl, ("kustomize",))
    kustomize = executable(tmp_path / "bin" / "kustomize")
    assert find_tool(path) == (kustomize, ("build",))
    named = executable(tmp_path / "kubectl-1.37")
    assert find_tool({**path, "KUBECTL": named}) == (named, ("kustomize",))
    assert find_tool({**path, "KUBECTL": named, "SETPOINT_KUSTOMIZE": kustomize}) == (kustomize, ("build",))
    assert find_tool({**path, "KUBECTL": str(tmp_path / "gone")}) == (kustomize, ("build",))
