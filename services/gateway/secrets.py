"""The secrets of each source's senders, from a folder of files or from one YAML file. Never logged, never shown.

A folder, such as a mounted Kubernetes Secret, has one file a sender, `<source>.<name>`: `audit.staging`. A YAML file
says `{audit: {staging: [secret, the-next-one]}}`, for names that no file can have. One or two secrets each, one a line.
A sender that speaks for several clusters is written there in the long form:
`{alertmanager: {central: {secrets: [secret], clusters: ["prod-*"], clusterLabel: cluster}}}`.

A sender that is known by its client certificate has `cn:NAME` in the place of a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.gateway.proof import BY_NAME, SIGNING_KEY, signing_key
from services.gateway.source import Sender
from services.runtime.errors import Permanent
from services.runtime.lastgood import LastGood

MOST, SHORTEST = 2, 16
CLUSTER_LABEL = "cluster"
LONG_FORM = {"secrets", "clusters", "clusterLabel"}
EXAMPLE = "Write {audit: {CLUSTER: [SECRET]}}"


@dataclass(frozen=True)
class Known:
    """One sender: what proves it, and the clusters (globs) that it may speak about besides the one that it names."""

    secrets: tuple[bytes, ...] = ()
    clusters: tuple[str, ...] = ()
    cluster_label: str = CLUSTER_LABEL

    def sender(self, name: str) -> Sender:
        """As the sources see it."""
        return Sender(name, self.clusters, self.cluster_label)


NOBODY = Known()
Secrets = Mapping[tuple[str, str], Known]
"""By (source, name)."""


def secrets_file(path: Path, known: frozenset[str]) -> LastGood[Secrets]:
    """The secrets at `path`, read again by `refresh`. Raises Permanent for what cannot be used, naming file and sender.

    `known` are the sources there are.
    """
    return LastGood(lambda: [path], lambda: load_secrets(path, known))


def load_secrets(path: Path, known: frozenset[str]) -> Secrets:
    """By (source, name)."""
    try:
        found = _from_folder(path) if path.is_dir() else _from_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"the gateway's secrets cannot be read: {error}", "Check SETPOINT_GATEWAY_SECRETS") from error
    for (source, name), sender in found.items():
        _check(path, source, name, sender.secrets, known)
    return found


def _check(path: Path, source: str, name: str, secrets: tuple[bytes, ...], known: frozenset[str]) -> None:
    where = f"{path}: {source}/{name}"
    if source not in known:
        raise Permanent(f"{where}: there is no such source", f"Known ones are {', '.join(sorted(known))}")
    if not 1 <= len(secrets) <= MOST:
        raise Permanent(f"{where}: has {len(secrets)} secrets", "Give one, or two while one is replaced")
    if any(not _long_enough(secret) for secret in secrets):
        raise Permanent(f"{where}: a secret is shorter than {SHORTEST} bytes", "Make one with: openssl rand -hex 32")


def _long_enough(secret: bytes) -> bool:
    """A name in a certificate is as long as it is; a signing key counts as the bytes that it stands for."""
    if secret.startswith(BY_NAME):
        return bool(secret.removeprefix(BY_NAME))
    return len(signing_key(secret) if secret.startswith(SIGNING_KEY) else secret) >= SHORTEST


def _from_folder(folder: Path) -> dict[tuple[str, str], Known]:
    """Names that begin with a dot are Kubernetes' own bookkeeping."""
    found = {}
    for file in sorted(folder.iterdir()):
        source, _, name = file.name.partition(".")
        if source and name and file.is_file():
            found[source, name] = Known(_split(file.read_text(encoding="utf-8").splitlines()))
    return found


def _from_yaml(file: Path) -> dict[tuple[str, str], Known]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError):
        raise Permanent(f"{file}: is not YAML", EXAMPLE) from None
    if not isinstance(document, dict) or not all(isinstance(names, dict) for names in document.values()):
        raise Permanent(f"{file}: says no secrets", EXAMPLE)
    return {
        (str(source), str(name)): _known(f"{file}: {source}/{name}", said)
        for source, names in document.items()
        for name, said in names.items()
    }


def _known(where: str, said: Any) -> Known:
    """The short form (a secret, or a list) or the long one."""
    if not isinstance(said, dict):
        return Known(_split(said if isinstance(said, list) else [said]))
    clusters, label = said.get("clusters", []), said.get("clusterLabel", CLUSTER_LABEL)
    if unknown := sorted(map(str, set(said) - LONG_FORM)):
        raise Permanent(f"{where}: {unknown[0]!r} is no setting of a sender", f"Use {', '.join(sorted(LONG_FORM))}")
    if not isinstance(clusters, list) or not all(isinstance(glob, str) and glob for glob in clusters):
        raise Permanent(f"{where}: 'clusters' is no list of names", 'Write clusters: ["prod-*"]')
    if not isinstance(label, str) or not label:
        raise Permanent(f"{where}: 'clusterLabel' is no label's name", "Write clusterLabel: cluster")
    secrets = said.get("secrets", [])
    return Known(_split(secrets if isinstance(secrets, list) else [secrets]), tuple(clusters), label)


def _split(lines: list[Any]) -> tuple[bytes, ...]:
    return tuple(str(line).strip().encode() for line in lines if str(line).strip())
