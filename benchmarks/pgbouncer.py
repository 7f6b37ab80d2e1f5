"""A real PgBouncer in a temporary folder."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from servers.postgres_address import Dsn
from servers.process import OwnedProcess, wait_until

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0
_START_ATTEMPTS = 5
# Below the range from which systems pick the ports of outgoing connections.
_PORTS = range(10000, 20000)

_CONFIGURATION = """
[databases]
{dbname} = host={host} port={port} dbname={dbname} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 2000
# Lines for each connection would be a good part of the work.
log_connections = 0
log_disconnections = 0
"""


def find_pgbouncer() -> str | None:
    """Return the program, None if there is none."""
    # Debian has it where only root's PATH leads.
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def pgbouncer_version(program: str) -> str:
    """Return the program's version."""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"PgBouncer (\S+)", output)
    return match[1] if match else "unknown"


class PgBouncer:
    """A PgBouncer in transaction mode on a free port of 127.0.0.1, before a database; a context manager.

    :param program: see `find_pgbouncer`.
    :param dsn: the database that it serves, under the same name.
    :param size: how many connections it may have to it.
    """

    def __init__(self, program: str, dsn: Dsn, size: int) -> None:
        self.port = 0
        self._program = program
        self._dsn = dsn
        self._size = size
        self._folder: Path | None = None
        self._process: OwnedProcess | None = None
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None

    def __enter__(self) -> PgBouncer:
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        try:
            if self._user is not None:
                shutil.chown(self._folder, self._user)
            for _ in range(_START_ATTEMPTS):
                self.port = random.choice(_PORTS)
                if self._launch(self._folder):
                    return self
            log = (self._folder / "log").read_text(errors="replace")
            raise RuntimeError(f"PgBouncer did not start:\n{log[-4000:]}")
        except BaseException:
            self._close()
            raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    @property
    def pid(self) -> int:
        """Its process. Raises RuntimeError when it was not started."""
        if self._process is None:
            raise RuntimeError("PgBouncer was not started")
        return self._process.pid

    def _launch(self, folder: Path) -> bool:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(**self._dsn, listen_port=self.port, size=self._size))
        configuration.chmod(0o644)
        process = self._process = OwnedProcess(
            [self._program, str(configuration)], log=folder / "log", cwd=folder, user=self._user
        )
        wait_until(lambda: self._answers() or not process.is_running, _START_TIMEOUT)
        # Another program may have the port: then this one has ended.
        if self._answers() and process.is_running:
            return True
        self._end()
        return False

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self) -> None:
        if self._process is not None:
            # On SIGTERM it ends at once.
            self._process.end(signal.SIGTERM, _STOP_TIMEOUT)
            self._process = None

    def _close(self) -> None:
        self._end()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
