"""A real PgBouncer in a temporary folder."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from typing import Literal

from servers.own_server import OwnServer
from servers.postgres_address import Dsn
from servers.postgres_binaries import find_bindir

PoolMode = Literal["session", "transaction", "statement"]

_STOP_TIMEOUT = 5.0


class PgBouncerNotFound(RuntimeError):
    """There is no ``pgbouncer`` on this machine."""


def find_pgbouncer() -> str | None:
    """Return the path of the program; None if there is none."""
    # Debian installs it into a folder that is on root's PATH only.
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def pgbouncer_version(program: str) -> str:
    """Return the program's version."""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"PgBouncer (\S+)", output)
    return match[1] if match else "unknown"


class PgBouncer(OwnServer):
    """A PgBouncer in front of a database. It lets every client in, under any name, and connects as the role of ``dsn``.

    :param dsn: the database that it serves, under the same name.
    :param pool_mode: when a client gives its server connection back.
    :param size: how many connections to the server it may have.
    :param settings: further settings of its own, by name: ``PgBouncer(dsn, max_client_conn=20)``.
    :raises PgBouncerNotFound: when there is no ``pgbouncer`` on this machine.
    """

    ready = re.compile("process up")

    def __init__(self, dsn: Dsn, *, pool_mode: PoolMode, size: int, **settings: str | int) -> None:
        program = find_pgbouncer()
        if program is None:
            raise PgBouncerNotFound("no pgbouncer on PATH: apt-get install pgbouncer, or brew install pgbouncer")
        self._program = program
        self._dsn = dsn
        self._settings: dict[str, str | int] = {
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": size,
            "max_client_conn": 2000,
            # Logging each connection would be a good part of its work.
            "log_connections": 0,
            "log_disconnections": 0,
            **settings,
        }
        # It refuses to run as root.
        self.system_user = "nobody" if os.geteuid() == 0 else None
        super().__init__("pgbouncer")

    def stop(self, timeout: float = _STOP_TIMEOUT) -> int | None:
        """End it without waiting for its clients to disconnect, as some versions would."""
        return super().stop(timeout)

    def show(self, what: str) -> list[dict[str, str]]:
        """Return the rows of a ``SHOW`` of its console (say "POOLS" or "CLIENTS"), as dictionaries by column."""
        command = [str(find_bindir() / "psql"), "-Xqw", "--csv", "-h", self.host, "-p", str(self.port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        output = subprocess.run(
            [*command, "-U", "pgbouncer", "-d", "pgbouncer", "-c", f"SHOW {what}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        return list(csv.DictReader(output.splitlines()))

    def _configure(self) -> list[str]:
        target = " ".join(f"{name}={_quoted(value)}" for name, value in self._dsn.items() if value != "")
        settings = {"listen_addr": self.host, "listen_port": self.port, "unix_socket_dir": "", **self._settings}
        lines = (f"{name} = {value}" for name, value in settings.items())
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            "\n".join(["[databases]", f"{self._dsn['dbname']} = {target}", "[pgbouncer]", *lines, ""])
        )
        # It may have a password in it.
        configuration.chmod(0o600)
        self.hand_over(configuration)
        return [self._program, str(configuration)]


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
