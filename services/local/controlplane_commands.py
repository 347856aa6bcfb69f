"""The command line of each part of the throwaway control plane. All of them listen on 127.0.0.1 or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Command = list[str | Path]

CLIENT_PACE = ("--kube-api-qps=200", "--kube-api-burst=400")
"""Above the defaults of 20 and 50 requests a second, which would be what a demo waits for."""


@dataclass(frozen=True)
class Layout:
    """Where everything of one control plane is, below its run's folder."""

    folder: Path

    @property
    def etcd_data(self) -> Path:
        return self.folder / "etcd"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def signing_key(self) -> Path:
        return self.pki / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        return self.pki / "tokens.csv"

    @property
    def ca(self) -> Path:
        """kube-apiserver makes its serving certificate by itself, followed by the authority that signed it."""
        return self.pki / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def kubeconfig_of(self, part: str) -> Path:
        return self.pki / f"{part}.kubeconfig"

    def log_of(self, part: str) -> Path:
        return self.folder / "logs" / f"{part}.log"


def etcd(binaries: Mapping[str, Path], at: Layout, client_port: int, peer_port: int) -> Command:
    """Without fsync: a throwaway store survives SIGKILL of itself, and need not survive the machine's power."""
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        binaries["etcd"], "--data-dir", at.etcd_data, "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
    ]  # fmt: skip


def apiserver(binaries: Mapping[str, Path], at: Layout, port: int, etcd_port: int) -> Command:
    """With RBAC, so that a reader's token is a reader's. No endpoint of its own is published: it is on loopback."""
    return [
        binaries["kube-apiserver"], f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1", f"--secure-port={port}", "--cert-dir", at.pki,
        "--authorization-mode=RBAC", "--token-auth-file", at.tokens,
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file", at.signing_key, "--service-account-signing-key-file", at.signing_key,
        "--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--allow-privileged",
        "--shutdown-watch-termination-grace-period=2s",  # without it a stop waits a minute for open watches
    ]  # fmt: skip


def controller_manager(binaries: Mapping[str, Path], at: Layout) -> Command:
    """The HPA's pace is 2 s instead of 15 s, for the demo's sake."""
    return [
        binaries["kube-controller-manager"], "--kubeconfig", at.kubeconfig_of("kube-controller-manager"),
        "--secure-port=0", "--leader-elect=false", *CLIENT_PACE,
        "--service-account-private-key-file", at.signing_key, "--root-ca-file", at.ca,
        "--horizontal-pod-autoscaler-sync-period=2s",
    ]  # fmt: skip


def scheduler(binaries: Mapping[str, Path], at: Layout) -> Command:
    return [
        binaries["kube-scheduler"], "--kubeconfig", at.kubeconfig_of("kube-scheduler"),
        "--secure-port=0", "--leader-elect=false", *CLIENT_PACE,
    ]  # fmt: skip


def kwok(binaries: Mapping[str, Path], at: Layout, stages: Path) -> Command:
    """Plays every node's kubelet: nodes become Ready and pods run, without machines.

    Without leases of theirs all nodes would be NotReady after 50 s, and with them their pods, which never recover.
    """
    config = at.kubeconfig_of("kwok")
    return [
        binaries["kwok"], "--kubeconfig", config, "--manage-all-nodes=true", "--config", stages,
        "--node-lease-duration-seconds=40",
    ]  # fmt: skip
