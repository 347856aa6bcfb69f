"""A throwaway authority and its certificates, made by the openssl command."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """PEM files."""

    certificate: Path
    key: Path


def run(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def authority(folder: Path, name: str) -> Pair:
    """A self-signed certificate that may sign others."""
    made = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
        "-subj", f"/CN={name}", "-keyout", made.key, "-out", made.certificate)  # fmt: skip
    return made


def signed(folder: Path, by: Pair, file: str, subject: str, alternative: str) -> Pair:
    """A certificate for `subject` (`/CN=…`), with alternative names such as `DNS:falco,URI:spiffe://a/b`."""
    made, request = Pair(folder / f"{file}.crt", folder / f"{file}.key"), folder / f"{file}.csr"
    extensions = folder / f"{file}.ext"
    extensions.write_text(f"subjectAltName={alternative}\n", encoding="utf-8")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
        "-keyout", made.key, "-out", request)  # fmt: skip
    run("x509", "-req", "-in", request, "-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial", "-days", 2,
        "-extfile", extensions, "-out", made.certificate)  # fmt: skip
    return made
