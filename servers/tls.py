"""Certificates for servers that speak TLS."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class OpensslNotFound(RuntimeError):
    """There is no ``openssl`` on this machine."""


@dataclass(frozen=True)
class Certificate:
    """The files of a self-signed certificate and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str) -> Certificate:
    """Make a certificate for 127.0.0.1 and "localhost", in files of this name in a folder.

    :raises OpensslNotFound: when there is no ``openssl`` on PATH.
    :raises RuntimeError: when ``openssl`` fails; the message is its own.
    """
    if shutil.which("openssl") is None:
        raise OpensslNotFound("no openssl on PATH: apt-get install openssl, or brew install openssl")
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-out", str(made.certificate), "-keyout", str(made.key)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"openssl failed:\n{result.stderr}")
    made.key.chmod(0o600)
    return made
