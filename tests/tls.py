"""Certificates that a TLS Secret may hold, made by the openssl command, with their times as openssl reads them."""

import base64
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from services.watcher.trouble.x509 import Validity

KEYS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"], "ed25519": ["ed25519"]}


def openssl(*arguments: object) -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def made(folder: Path, kind: str = "ec", *, days: int = 90, subject: str = "/CN=api") -> tuple[bytes, Validity]:
    """A self-signed certificate in PEM, and its times as openssl reads them."""
    file = folder / f"{kind}-{days}.crt"
    openssl("req", "-x509", "-newkey", *KEYS[kind], "-nodes", "-days", days, "-subj", subject, "-out", file, "-keyout",
            folder / "key")  # fmt: skip
    dates = openssl("x509", "-noout", "-startdate", "-enddate", "-in", file).decode()
    said = [line.partition("=")[2] for line in dates.splitlines()]
    begins, ends = (datetime.strptime(one.removesuffix("GMT") + "+0000", "%b %d %H:%M:%S %Y %z") for one in said)
    return file.read_bytes(), Validity(begins.astimezone(UTC), ends.astimezone(UTC))


def in_base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
