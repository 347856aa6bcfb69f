"""Keys and tokens of a throwaway control plane, made without any tool or cryptography library.

Whoever can read the run's folder is the cluster's administrator; the folder is its owner's alone.
"""

import base64
import json
import secrets
from pathlib import Path

CONTEXT = "setpoint-local"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OID_P256 = bytes.fromhex("06082a8648ce3d030107")


def service_account_key() -> str:
    """A P-256 private key in PEM, which signs and checks service account tokens.

    RFC 5915's ECPrivateKey needs a random number below the curve's order; its public half is optional, and Go
    computes it.
    """
    scalar = (secrets.randbelow(P256_ORDER - 1) + 1).to_bytes(32, "big")
    curve = _der(0xA0, OID_P256)
    key = _der(0x30, _der(0x02, b"\x01") + _der(0x04, scalar) + curve)
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.encodebytes(key).decode()}-----END EC PRIVATE KEY-----\n"


def new_token() -> str:
    return secrets.token_urlsafe(32)


def token_file(tokens: dict[str, str]) -> str:
    """kube-apiserver's token file (CSV: token, user, uid, groups); every user here is an administrator."""
    return "".join(f'{token},{user},{user},"system:masters"\n' for user, token in tokens.items())


def kubeconfig(url: str, ca: bytes, token: str, user: str = "setpoint-admin") -> str:
    """A kubeconfig with everything inside, context `setpoint-local`. JSON, which is YAML."""
    authority = base64.b64encode(ca).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
    }
    return json.dumps(config, indent=1)


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _der(tag: int, content: bytes) -> bytes:
    """One DER element shorter than 128 bytes."""
    return bytes([tag, len(content)]) + content
