"""A real PgBouncer in a temporary folder."""

from __future__ import annotations

import atexit
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal

from servers.ports import HOST, free_ports
from servers.postgres_address import Dsn
from servers.postgres_binaries import find_bindir
from servers.process import OwnedProcess, wait_until

PoolMode = Literal["session", "transaction", "statement"]

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0
_START_ATTEMPTS = 5


class PgBouncerNotFound(RuntimeError):
    """There is no pgbouncer on the machine."""


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
    """A PgBouncer on a free port of 127.0.0.1, before a database; a context manager.

    It lets everybody in, under any name, and connects to the database as the role of `dsn`. After a `stop` or `kill`,
    `start` has it on the same port again. It ends with the `with` block, `close()`, the end of the interpreter, or the
    death of its owner.

    :param dsn: the database that it serves, under the same name.
    :param pool_mode: when a client's server connection goes back.
    :param size: how many connections it may have to the server.
    :param settings: more of its configuration: `PgBouncer(dsn, max_client_conn=20)`.
    :raises PgBouncerNotFound: when there is no `pgbouncer` on the machine.
    """

    def __init__(self, dsn: Dsn, *, pool_mode: PoolMode, size: int, **settings: str | int) -> None:
        program = find_pgbouncer()
        if program is None:
            raise PgBouncerNotFound("no pgbouncer on PATH: apt-get install pgbouncer, or brew install pgbouncer")
        self.host = HOST
        self.port = 0
        self._program = program
        self._dsn = dsn
        self._settings: dict[str, str | int] = {
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": size,
            "max_client_conn": 2000,
            # Lines for each connection would be a good part of its work.
            "log_connections": 0,
            "log_disconnections": 0,
            **settings,
        }
        self._folder: Path | None = None
        self._process: OwnedProcess | None = None
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._owner = os.getpid()

    def __enter__(self) -> PgBouncer:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<PgBouncer {'running' if self.is_running else 'stopped'} on {self.host}:{self.port}>"

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """Its process. Raises RuntimeError when it was not started."""
        if self._process is None:
            raise RuntimeError("PgBouncer was not started")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written to its log so far, over all its starts."""
        path = None if self._folder is None else self._folder / "log"
        return path.read_text(errors="replace") if path is not None and path.exists() else ""

    def start(self) -> None:
        """Start it and return when it takes connections; does nothing when it runs.

        Raises RuntimeError with the end of its log when it doesn't come up.
        """
        if self.is_running:
            return
        if self._folder is None:
            self._owner = os.getpid()
            self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
            atexit.register(self.close)
            if self._user is not None:
                shutil.chown(self._folder, self._user)
        is_new = self.port == 0
        for _ in range(_START_ATTEMPTS if is_new else 1):
            if is_new:
                (self.port,) = free_ports(1)
            if self._launch(self._folder):
                return
        log = self.log
        if is_new:
            self.close()
        raise RuntimeError(f"PgBouncer did not start:\n{log[-4000:]}")

    def stop(self) -> None:
        """End it, and with it the connections of its clients."""
        # On SIGTERM it ends at once.
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL it, like a crash."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, then start it on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it if it runs, and remove its folder. May be called again."""
        if os.getpid() != self._owner:
            return  # A forked child inherits this object, but not the process.
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        atexit.unregister(self.close)

    def show(self, what: str) -> list[dict[str, str]]:
        """Ask its console: `show("POOLS")`, `show("CLIENTS")`. A row is a dictionary by the names of the columns."""
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

    def _launch(self, folder: Path) -> bool:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(self._configuration())
        # There may be a password in it.
        configuration.chmod(0o600)
        if self._user is not None:
            shutil.chown(configuration, self._user)
        process = self._process = OwnedProcess(
            [self._program, str(configuration)], log=folder / "log", cwd=folder, user=self._user
        )
        wait_until(lambda: self._answers() or not process.is_running, _START_TIMEOUT)
        # Another program may have the port: then this one has ended.
        if self._answers() and process.is_running:
            return True
        self.kill()
        return False

    def _configuration(self) -> str:
        target = " ".join(f"{name}={_quoted(value)}" for name, value in self._dsn.items() if value != "")
        settings = {
            "listen_addr": self.host,
            "listen_port": self.port,
            "unix_socket_dir": "",
            **self._settings,
        }
        lines = (f"{name} = {value}" for name, value in settings.items())
        return "\n".join(["[databases]", f"{self._dsn['dbname']} = {target}", "[pgbouncer]", *lines, ""])

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(signum, _STOP_TIMEOUT)
            self._process = None


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
