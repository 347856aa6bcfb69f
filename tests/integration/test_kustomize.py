"""Kustomize folders through the real kubectl."""

from pathlib import Path

import pytest

from services.kube.declaration import kustomize
from services.kube.declaration.kustomize import build
from services.local.prepare import Parts
from services.runtime.errors import UserFileError

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def tool(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubectl that the throwaway control plane brings along."""
    monkeypatch.setenv("KUBECTL", str(parts.control_plane.kubectl))
    monkeypatch.delenv("SETPOINT_KUSTOMIZE", raising=False)


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    base, overlay = tmp_path / "base", tmp_path / "prod"
    base.mkdir()
    overlay.mkdir()
    (base / "cm.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {time: '12:30', most: '5'}\n"
    )
    (base / "kustomization.yaml").write_text("resources: [cm.yaml]\n")
    (overlay / "kustomization.yaml").write_text(
        "namespace: shop\nresources: [../base]\npatches:\n  - target: {kind: ConfigMap}\n    patch: |\n"
        "      - {op: replace, path: /data/most, value: '9'}\n"
    )
    return overlay


def problem_of(folder: Path) -> tuple[str, str, str]:
    with pytest.raises(UserFileError) as caught:
        build(folder)
    (problem,) = caught.value.problems
    return problem.file, problem.message, problem.fix


def test_an_overlay_is_built_and_read_as_kubernetes_reads_it(overlay: Path) -> None:
    """Patches are applied, texts stay texts, and the kustomization is where it comes from."""
    (manifest,) = build(overlay)
    assert manifest.file == str(overlay / "kustomization.yaml")
    assert manifest.obj["metadata"] == {"name": "limits", "namespace": "shop"}
    assert manifest.obj["data"] == {"time": "12:30", "most": "9"}


def test_nothing_is_fetched_from_the_net(tmp_path: Path) -> None:
    """What a kustomization names there would be another thing each time."""
    (tmp_path / "kustomization.yaml").write_text("resources: ['https://example.org/a.yaml']\n")
    file, message, fix = problem_of(tmp_path)
    assert file == str(tmp_path / "kustomization.yaml")
    assert "https://example.org/a.yaml" in message
    assert "nothing is fetched" in fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("resources: [none.yaml]\n", "none.yaml", id="missing file"),
        pytest.param("resources: [", "did not find expected", id="syntax"),
        pytest.param("{}\n", "is empty", id="nothing in it"),
        pytest.param("namePrefix: a-\nresourcs: []\n", "resourcs", id="unknown field"),
    ],
)
def test_what_kustomize_says_is_passed_on(tmp_path: Path, text: str, said: str) -> None:
    """In one line, without its log's head, with the command to see more."""
    (tmp_path / "kustomization.yaml").write_text(text)
    _, message, fix = problem_of(tmp_path)
    assert said in message
    assert "command failed" not in message
    assert fix.startswith("see 'kubectl kustomize")


def test_a_folder_without_kustomization_and_a_machine_without_tools(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both say what to do."""
    assert problem_of(tmp_path)[1] == "holds no kustomization.yaml"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KUBECTL")
    _, message, fix = problem_of(overlay)
    assert "neither kustomize nor kubectl" in message
    assert fix.startswith("install kustomize or kubectl")


def test_a_build_that_does_not_end_is_ended(overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that reads its baselines does not wait for ever."""
    slow = tmp_path / "kustomize"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("SETPOINT_KUSTOMIZE", str(slow))
    monkeypatch.setattr(kustomize, "TIMEOUT_S", 0.2)
    assert "is not built within 0.2 s" in problem_of(overlay)[1]
