"""Baselines: one declared state out of documents and folders, without contradictions."""

from pathlib import Path

import pytest

from services.kube.baselines import DeclaredState, folder_state, load_baselines, watched_paths
from services.kube.objects import ObjectKey
from services.runtime.errors import UserFileError

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
