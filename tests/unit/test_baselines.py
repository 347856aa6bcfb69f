"""Baselines: one declared state out of documents and folders, without contradictions."""

import subprocess
from pathlib import Path

import pytest

from services.kube.declaration.baselines import DeclaredState, folder_state, load_baselines, watched_paths
from services.kube.declaration.sources import declared_source
from services.kube.objects import ObjectKey
from services.runtime.errors import UserFileError
from services.runtime.settings import Settings

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}, namespace: pay}}\ndata: {{a: '{1}'}}\n"
BASELINE = """\
apiVersion: setpoint.dev/v1alpha1
kind: Baseline
metadata: {{name: {0}}}
spec:
  source: {{folder: ./{1}}}
  manager: deployer
  trustedManagers: [rollouts]
  ignore:
    - {{kind: ConfigMap, name: "flags*", path: /data/banner, reason: support's}}
    - {{kind: Secret, path: /data, reason: the vault's}}
    - {{namespace: pay, path: /metadata/labels, reason: the mesh's}}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """Two baselines with one object each."""
    write(tmp_path / "baselines.yaml", BASELINE.format("pay", "pay") + "---\n" + BASELINE.format("shop", "shop"))
    write(tmp_path / "pay" / "flags.yaml", CONFIG.format("flags-eu", 1))
    write(tmp_path / "shop" / "a.yaml", CONFIG.format("a", 1))
    return tmp_path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(UserFileError) as caught:
        load_baselines(path)
    return [str(problem) for problem in caught.value.problems]


def by_name(state: DeclaredState) -> dict[str, str]:
    return {declared.key.name: declared.digest for declared in state.objects}


def test_folders_are_relative_to_the_file_that_names_them(
    platform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the command runs has no influence."""
    monkeypatch.chdir("/")
    state = load_baselines(platform / "baselines.yaml")
    assert state.names == ("pay", "shop")
    assert [declared.key for declared in state.objects] == [
        ObjectKey("", "ConfigMap", "pay", "flags-eu"),
        ObjectKey("", "ConfigMap", "pay", "a"),
    ]
    assert watched_paths(platform / "baselines.yaml") == [
        platform / "baselines.yaml",
        platform / "pay",
        platform / "shop",
    ]


def test_an_object_carries_its_rules_and_writers(platform: Path) -> None:
    """Ignore rules are those that select the object; the baseline's own manager is trusted."""
    first, second = load_baselines(platform).objects
    assert first.ignore == ("/data/banner", "/metadata/labels")
    assert second.ignore == ("/metadata/labels",)
    assert first.trusted == {"deployer", "rollouts"}
    assert (first.baseline, first.manager, first.line) == ("pay", "deployer", 1)
    assert first.obj["data"] == {"a": "1"}


def test_digests_change_with_what_they_stand_for_only(platform: Path) -> None:
    """Comments, order and file names leave a digest as it is; a value or a rule does not."""
    before = load_baselines(platform)
    text = "# new\nkind: ConfigMap\ndata: {a: '1'}\nmetadata: {namespace: pay, name: flags-eu}\napiVersion: v1\n"
    (platform / "pay" / "flags.yaml").unlink()
    write(platform / "pay" / "other.yaml", text)
    assert load_baselines(platform).digest == before.digest

    write(platform / "pay" / "other.yaml", CONFIG.format("flags-eu", 2))
    after = load_baselines(platform)
    assert after.digest != before.digest
    assert by_name(after)["a"] == by_name(before)["a"]

    rules = (platform / "baselines.yaml").read_text().replace("/metadata/labels", "/metadata/annotations")
    write(platform / "baselines.yaml", rules)
    assert by_name(load_baselines(platform))["a"] != by_name(after)["a"]


def test_an_object_in_two_baselines_names_both_places(platform: Path) -> None:
    """Two declarations of one object would correct each other for ever."""
    other = write(platform / "shop" / "b.yaml", "---\n" + CONFIG.format("flags-eu", 3))
    assert problems_of(platform) == [
        f"{other}:2:1: ConfigMap pay/flags-eu is declared twice: here by baseline 'shop', and at "
        f"{platform}/pay/flags.yaml:1 by 'pay' (remove one of the two)"
    ]


def test_problems_of_baselines_and_manifests_come_together(platform: Path) -> None:
    """A broken rule in one baseline does not hide a broken manifest of another."""
    text = (platform / "baselines.yaml").read_text().replace("manager: deployer", "manger: deployer", 1)
    write(platform / "baselines.yaml", text)
    write(platform / "shop" / "a.yaml", "kind: ConfigMap\nmetadata: {name: a}\n")
    found = problems_of(platform / "baselines.yaml")
    assert [problem.removeprefix(str(platform)) for problem in found] == [
        "/baselines.yaml:6:3: spec.manger: unknown key (did you mean manager?)",
        "/shop/a.yaml:1:1: apiVersion: is missing or no text (add it, such as apiVersion: apps/v1)",
    ]


def test_a_folder_that_is_empty_or_absent_is_a_mistake(platform: Path) -> None:
    """A volume that was not mounted must not look as if nothing were declared any more."""
    (platform / "pay" / "flags.yaml").unlink()
    (platform / "shop" / "a.yaml").unlink()
    (platform / "shop").rmdir()
    found = problems_of(platform)
    assert "baselines.yaml:5:12: spec.source.folder" in found[0]
    assert "holds no manifests" in found[0]
    assert "there is no folder" in found[1]


def test_no_baseline_at_all_is_a_mistake(tmp_path: Path) -> None:
    """A service with nothing to watch says so at its start."""
    assert "holds no Baseline" in problems_of(tmp_path)[0]


def test_a_bare_folder_is_one_baseline(platform: Path) -> None:
    """`diff` works on manifests without any document of ours; where there are some, they count."""
    bare = folder_state(platform / "pay")
    assert bare.names == ("folder",)
    assert [(one.baseline, one.ignore, one.trusted, one.manager) for one in bare.objects] == [
        ("folder", (), frozenset(), None)
    ]
    assert folder_state(platform).digest == load_baselines(platform).digest


def test_a_bare_folder_without_manifests_is_a_mistake(tmp_path: Path) -> None:
    """Nothing compared is not the same as no drift."""
    with pytest.raises(UserFileError, match="holds no manifests"):
        folder_state(tmp_path)


def kustomized(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kustomize baseline, and a builder that prints the overlay's and its base's files."""
    script = '#!/bin/sh\ncd "$2" && cat all.yaml && echo --- && cat ../base/all.yaml\n'
    builder = write(folder / "bin" / "kustomize", script)
    builder.chmod(0o755)
    monkeypatch.setenv("SETPOINT_KUSTOMIZE", str(builder))
    write(folder / "b.yaml", BASELINE.format("pay", "overlay").replace("folder:", "kustomize:"))
    write(folder / "overlay" / "kustomization.yaml", "resources: [all.yaml, ../base, 'https://example.org/x']\n")
    write(folder / "overlay" / "all.yaml", CONFIG.format("over", 1))
    write(folder / "base" / "kustomization.yaml", "resources: [all.yaml]\npatches: [{path: ../patch.yaml}]\n")
    write(folder / "base" / "all.yaml", CONFIG.format("base", 1))
    write(folder / "patch.yaml", "{}")
    return folder / "b.yaml"


def test_a_kustomize_folder_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifests are those of the build, under the same rules as any others."""
    state = load_baselines(kustomized(tmp_path, monkeypatch))
    assert {declared.key.name for declared in state.objects} == {"over", "base"}
    assert {declared.manager for declared in state.objects} == {"deployer"}
    (tmp_path / "overlay" / "kustomization.yaml").unlink()
    assert "holds no kustomization.yaml" in problems_of(tmp_path / "b.yaml")[0]


def test_what_a_kustomization_names_outside_its_folder_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of the base is an edit of every overlay."""
    path = kustomized(tmp_path, monkeypatch)
    real = {found.resolve() for found in watched_paths(path)}
    assert real >= {path, tmp_path / "overlay", tmp_path / "base", tmp_path / "patch.yaml"}


def test_the_commit_of_the_work_tree_is_the_revision(platform: Path) -> None:
    """A new commit is noticed, though no manifest changed: a finding says what it was compared with."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(platform), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", "pay")
    git("commit", "--quiet", "-m", "one")
    path = platform / "baselines.yaml"
    source = declared_source(Settings(baselines=path))
    before = source.files.value
    assert {one.revision for one in before.objects if one.baseline == "pay"} == {git("rev-parse", "HEAD")}
    assert {one.revision for one in before.objects if one.baseline == "shop"} == {None}
    version = source.version
    git("commit", "--quiet", "--allow-empty", "-m", "two")
    source.refresh()
    assert source.version == version + 1
    assert source.files.value.digest == before.digest
    assert {one.revision for one in source.files.value.objects if one.baseline == "pay"} == {git("rev-parse", "HEAD")}


def test_sources_in_the_cluster_are_kept_for_who_reads_them(tmp_path: Path) -> None:
    """Files alone declare nothing then, and that is no mistake."""
    text = BASELINE.format("charts", "x").replace("{folder: ./x}", "{helm: {namespaces: [pay]}}")
    state = load_baselines(write(tmp_path / "b.yaml", text))
    assert state.objects == ()
    assert [(one.metadata.name, one.spec.source.in_cluster) for one in state.baselines] == [("charts", True)]


def test_a_change_of_what_is_pruned_is_another_state(platform: Path) -> None:
    """Who looks for unwanted objects must hear of it, though nothing that is declared changed."""
    before = load_baselines(platform)
    text = (platform / "baselines.yaml").read_text()
    write(platform / "baselines.yaml", text.replace("manager: deployer", "prune: report\n  manager: deployer", 1))
    assert not load_baselines(platform).same_as(before)


def test_who_applies_is_part_of_what_is_declared(platform: Path) -> None:
    """Whose changes are drift depends on it."""
    before = by_name(load_baselines(platform))
    write(platform / "baselines.yaml", (platform / "baselines.yaml").read_text().replace("deployer", "someone"))
    after = by_name(load_baselines(platform))
    assert all(before[name] != after[name] for name in before)
