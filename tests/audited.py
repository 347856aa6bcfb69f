"""A control plane whose API server sends its audit to a gateway, for the tests that ask who was behind a write.

Its own one, since audit is switched on where the API server starts. The API server makes its own certificate for
127.0.0.1, which serves the gateway here as well: what is tested is the way of the events, with real TLS.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from services.local import controlplane_commands as commands
from services.local.controlplane import LocalControlPlane
from services.local.credentials import kubeconfig, new_token, write_private

USERS = ("alice", "bob")
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


class AuditedControlPlane(LocalControlPlane):
    """As the local control plane, with `USERS` besides; `audit` starts its API server again, with its audit on."""

    def __init__(self, folder: Path, binaries: Mapping[str, Path], stages: Path) -> None:
        super().__init__(folder, binaries, stages)
        self.flags: list[str | Path] = []
        self._tokens |= {user: new_token() for user in USERS}

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The API server's own, with its key."""
        return self._at.ca, self._at.pki / "apiserver.key"

    def kubeconfig_for(self, user: str) -> Path:
        """Of a person who may do everything."""
        text = kubeconfig(self.url, self.ca_file.read_bytes(), self._tokens[user], user)
        return write_private(self._at.kubeconfig_of(user), text)

    async def audit(self, url: str, token: str) -> None:
        """Batches go out each half second. One that nobody takes is tried five times in some 25 s, and then is lost."""
        user = {"name": "gateway", "user": {"token": token}}
        cluster = {"name": "gateway", "cluster": {"server": url, "certificate-authority": str(self.ca_file)}}
        context = {"name": "gateway", "context": {"cluster": "gateway", "user": "gateway"}}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "gateway", "users": [user], "clusters": [cluster],
            "contexts": [context],
        }  # fmt: skip
        folder = self._at.pki
        (folder / "audit-policy.json").write_text(json.dumps(POLICY), encoding="utf-8")
        (folder / "audit-webhook.json").write_text(json.dumps(config), encoding="utf-8")
        self.flags = [
            "--audit-policy-file", folder / "audit-policy.json", "--audit-webhook-config-file",
            folder / "audit-webhook.json", "--audit-webhook-batch-max-wait=500ms",
            "--audit-webhook-initial-backoff=3s",
        ]  # fmt: skip
        await self.stop_apiserver()
        await self.start_apiserver()

    def _launch(self, part: str, command: commands.Command) -> None:
        super()._launch(part, [*command, *self.flags] if part == "kube-apiserver" else command)
