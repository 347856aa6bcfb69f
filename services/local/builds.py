"""How each local part is made: Kafka's jars by Maven, the control plane's binaries by Go, kwok's stages by copying.

A recipe's key is a hash of all that it is made from; its `make` fills the folder that the cache gives it.
"""

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.local.cache import fingerprint
from services.local.processes import run_to_end
from services.local.tools import bundled_java_home, find_go, find_maven, go_version, module_folder
from services.runtime.errors import Permanent

KUBERNETES_VERSION = "1.37.2"
MAVEN_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
KWOK_MODULE = "sigs.k8s.io/kwok"
STAGE_FOLDERS = ("pod/fast", "node/fast", "node/heartbeat-with-lease")
STAGES = "stages.yaml"


@dataclass(frozen=True)
class GoTool:
    """A binary of the control plane: its module below deploy/local, its package, and a first build's seconds."""

    name: str
    module: str
    package: str
    expected_s: float


GO_TOOLS = (
    GoTool("etcd", "controlplane", "go.etcd.io/etcd/server/v3", 80),
    GoTool("kube-apiserver", "controlplane", "k8s.io/kubernetes/cmd/kube-apiserver", 240),
    GoTool("kube-controller-manager", "controlplane", "k8s.io/kubernetes/cmd/kube-controller-manager", 120),
    GoTool("kube-scheduler", "controlplane", "k8s.io/kubernetes/cmd/kube-scheduler", 20),
    GoTool("kubectl", "controlplane", "k8s.io/kubernetes/cmd/kubectl", 40),
    GoTool("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 60),
)


def link_flags(version: str = KUBERNETES_VERSION) -> str:
    """Small binaries that know the Kubernetes version they are; clients read it from /version."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())])


def build_flags(tool: GoTool) -> list[str]:
    return ["-trimpath", "-ldflags", link_flags() if tool.module == "controlplane" else "-s -w"]


def tool_key(tool: GoTool, deploy: Path) -> str:
    module = deploy / tool.module
    machine = f"{platform.system()}/{platform.machine()}"
    return fingerprint([tool.package, *build_flags(tool), machine, module / "go.mod", module / "go.sum"])


def jars_key(deploy: Path) -> str:
    return fingerprint([MAVEN_GOAL, deploy / "kafka" / "pom.xml"])


def stages_key(deploy: Path) -> str:
    return fingerprint([*STAGE_FOLDERS, deploy / "kwok" / "go.mod"])


async def make_jars(folder: Path, deploy: Path, log: Path) -> None:
    """Kafka's jars into `folder/lib`."""
    command: list[str | Path] = [
        find_maven(), "-B", "-q", "-f", deploy / "kafka" / "pom.xml", MAVEN_GOAL,
        f"-DoutputDirectory={folder / 'lib'}", "-DincludeScope=runtime",
    ]  # fmt: skip
    await run_to_end("mvn", command, log, environ=maven_environ(os.environ), timeout=900)


def maven_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Maven runs on Java too: the bundled one where the machine has none of its own."""
    bundled = bundled_java_home()
    if bundled is None or environ.get("JAVA_HOME") or shutil.which("java", path=environ.get("PATH", "")):
        return {}
    return {"JAVA_HOME": str(bundled)}


async def make_tool(tool: GoTool, folder: Path, deploy: Path, log: Path) -> None:
    """One binary, `folder/NAME`. An interrupted build keeps what Go compiled so far in Go's own cache."""
    go = find_go()
    command: list[str | Path] = [go, "build", *build_flags(tool), "-o", folder / tool.name, tool.package]
    module = deploy / tool.module
    await run_to_end(f"go build of {tool.name}", command, log, cwd=module, environ=go_environ(go, module))


async def make_stages(folder: Path, deploy: Path, log: Path) -> None:
    """kwok's own stage files joined into `folder/stages.yaml`; without them it leaves pods as they are."""
    go = find_go()
    module = deploy / "kwok"
    environ = go_environ(go, module)
    await run_to_end("go mod download", [go, "mod", "download", KWOK_MODULE], log, cwd=module, environ=environ)
    source = module_folder(go, module, KWOK_MODULE)
    (folder / STAGES).write_text(join_stages(source / "kustomize" / "stage"), encoding="utf-8")


def join_stages(stage_root: Path) -> str:
    """Every `kind: Stage` file of the folders that we use, as one stream of documents."""
    files = [path for name in STAGE_FOLDERS for path in sorted((stage_root / name).glob("*.yaml"))]
    stages = [text for text in (path.read_text(encoding="utf-8") for path in files) if "kind: Stage" in text]
    if len(stages) < len(STAGE_FOLDERS):
        raise Permanent(f"kwok's module has no stages below {stage_root}", "Its layout changed: adapt STAGE_FOLDERS")
    return "\n---\n".join(stages)


def go_environ(go: Path, module: Path) -> dict[str, str]:
    """No C compiler needed; another Go toolchain is fetched only where the installed one is too old for go.mod."""
    wanted = next(line.split()[1] for line in (module / "go.mod").read_text().splitlines() if line.startswith("go "))
    major, minor = (int(part) for part in wanted.split(".")[:2])
    toolchain = "local" if go_version(go) >= (major, minor) else "auto"
    return {"CGO_ENABLED": "0", "GOTOOLCHAIN": toolchain, "GOWORK": "off", "GOFLAGS": ""}
