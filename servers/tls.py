"""Certificates for servers that speak TLS."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class OpensslNotFound(RuntimeError):
    """There is no openssl on the machine."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str) -> Certificate:
    """Make a certificate for the IP address 127.0.0.1 and for "localhost", in files of this name in a folder.

    Raises OpensslNotFound when there is no `openssl` on PATH, RuntimeError with what it says when it fails.
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
