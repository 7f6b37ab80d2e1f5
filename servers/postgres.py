"""A real PostgreSQL server in a temporary folder."""

from __future__ import annotations

import atexit
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal

from servers.postgres_address import MAINTENANCE_DATABASE, SUPERUSER, Postgres
from servers.postgres_binaries import copy_wheel, find_bindir, wheel_root
from servers.process import OwnedProcess, group_of, wait_until

StopMode = Literal["smart", "fast", "immediate"]
Setting = str | int | float | bool

_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_APP_USER = "app"
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 30.0

# Below the range from which Linux and macOS pick the ports of outgoing connections: otherwise a
# client's connection could sit on the port of a server that is being restarted.
_PORTS = range(20000, 30000)

# A server that was killed leaves children behind that hold its memory for a moment; a port can be
# taken between picking and binding it. Both are worth another try.
_MEMORY_IN_USE = "pre-existing shared memory block"
_PORT_IN_USE = "Address already in use"

# Nothing here has to survive the machine.
_FAST_SETTINGS: dict[str, Setting] = {
    "fsync": False,
    "synchronous_commit": False,
    "full_page_writes": False,
    "listen_addresses": "127.0.0.1",
}


class PostgresServer(Postgres):
    """A PostgreSQL server of its own, with its data in a temporary folder; a context manager.

    It listens on 127.0.0.1 (`host`, `port`) and on a Unix socket in `socket_dir`. `url` and `dsn`
    are those of the role "app", which may create databases and roles and see all of
    pg_stat_activity but is no superuser: with `max_connections=30` it gets 27, and `query`, which
    uses the superuser "postgres", still gets in when they are all taken
    (`superuser_reserved_connections`, 3 unless set).

    Settings are the server's own, by name: `PostgresServer(max_connections=30,
    log_statement="all")`. With `password`, both roles have that password and every login is checked
    by scram-sha-256; without it everybody is trusted. `extension` asks for a server that has that
    extension's files ("postgis"); `bindir` for one in a certain folder.

    It ends with the `with` block, `close()`, the end of the interpreter, or, when the owner is
    killed, by itself; in that last case only, its folder is left behind.

    Raises PostgresNotFound when there is no PostgreSQL on the machine.
    """

    def __init__(
        self,
        *,
        password: str = "",
        extension: str | None = None,
        bindir: Path | None = None,
        **settings: Setting,
    ) -> None:
        super().__init__(
            host="127.0.0.1",
            port=0,
            user=_APP_USER,
            password=password,
            query_user=SUPERUSER,
        )
        self.settings: dict[str, Setting] = {**_FAST_SETTINGS, **settings}
        self._installed = bindir or find_bindir(extension)
        self._bindir = self._installed
        self._system_user = _unprivileged_user()
        self._process: OwnedProcess | None = None
        self._folder: Path | None = None
        self._owner = os.getpid()

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<PostgresServer {state} on {self.host}:{self.port} from {self._installed}>"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """The process id of the server (of its postmaster). Raises RuntimeError when it was never
        started.
        """
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    @property
    def folder(self) -> Path:
        """The temporary folder with everything. Raises RuntimeError when the server was never
        started or is closed.
        """
        if self._folder is None:
            raise RuntimeError("the server was not started")
        return self._folder

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket, to be given to a driver as `host`."""
        return self.folder

    @property
    def log(self) -> str:
        """What the server has written to its log so far, over all its starts."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def bindir(self) -> Path:
        """The folder that its programs were installed in."""
        return self._installed

    def hand_over(self, path: Path) -> None:
        """Give a file to the system user that the server runs as."""
        if self._system_user is not None:
            shutil.chown(path, self._system_user)

    def start(self) -> None:
        """Start the server and return when it takes connections, in about a second the first time.

        Does nothing when it runs. A server that was stopped or killed comes up again with its data,
        on the same port. Raises RuntimeError with the end of the server's log when it doesn't come
        up.
        """
        if self.is_running:
            return
        is_new = self._folder is None
        if is_new:
            self._create()
        try:
            self._launch(may_change_port=is_new)
            if is_new:
                self._create_app_role()
        except BaseException:
            if is_new:
                self.close()
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and wait for its end; its data stay for another `start`.

        Modes are PostgreSQL's: "smart" waits for the clients to leave (30 s, then they are cut),
        "fast" ends their sessions, "immediate" ends without a clean shutdown.
        """
        if self._process is None:
            return
        self._process.end(_STOP_SIGNALS[mode], _STOP_TIMEOUT)
        self._process = None

    def kill(self) -> None:
        """SIGKILL the server, like a crash: clients see their sockets closed with no message."""
        if self._process is None:
            return
        self._process.end(signal.SIGKILL, _STOP_TIMEOUT)
        self._process = None

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server, then start it on the same port with the same data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server if it runs and remove its folder. May be called again."""
        if os.getpid() != self._owner:
            return  # a forked child inherits this object, but not the server
        self.stop("immediate")
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        atexit.unregister(self.close)

    def _psql(self) -> Path:
        return self._installed / "psql"

    def _create(self) -> None:
        """Make the folder and the database cluster in it."""
        self._owner = os.getpid()
        atexit.register(self.close)
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._bindir = self._installed
        if self._system_user is not None:
            if wheel_root(self._installed) is not None:
                # That user may have no way into the folders above root's environment.
                self._bindir = copy_wheel(self._installed, self._folder / "install")
            shutil.chown(self._folder, self._system_user)
        self._make_cluster(self._bindir, self._folder / "data")

    def _make_cluster(self, bindir: Path, data: Path) -> None:
        auth = "trust"
        command = [str(bindir / "initdb"), "-D", str(data), "-U", SUPERUSER]
        if self.password:
            auth = "scram-sha-256"
            password_file = data.with_name("password")
            password_file.write_text(self.password + "\n")
            command += ["--pwfile", str(password_file)]
        command += ["-A", auth, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._run(command)
        if self.password:
            password_file.unlink()

    def _run(self, command: list[str]) -> None:
        """Run one of PostgreSQL's programs as the server's user."""
        result = subprocess.run(
            command,
            cwd=self._folder,
            user=self._system_user,
            group=group_of(self._system_user),
            extra_groups=None if self._system_user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            self.close()
            raise RuntimeError(f"{Path(command[0]).name} failed:\n{result.stdout}")

    def _create_app_role(self) -> None:
        # The owner of the database may create tables in its schema "public".
        password = f" PASSWORD '{self.password.replace(chr(39), chr(39) * 2)}'" if self.password else ""
        self.query(
            f"CREATE ROLE {_APP_USER} LOGIN CREATEDB CREATEROLE{password};"
            f"GRANT pg_monitor TO {_APP_USER};"
            f"ALTER DATABASE {MAINTENANCE_DATABASE} OWNER TO {_APP_USER}"
        )

    def _launch(self, *, may_change_port: bool) -> None:
        """Start the server process, again when it failed for a reason that passes, until it takes
        connections.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            if may_change_port:
                self.port = _free_port()
            seen = len(self.log)
            process = self._process = self._spawn()
            wait_until(lambda: self._is_ready() or not self.is_running, deadline - time.monotonic())
            if self._is_ready() and process.is_running:
                return
            process.end(signal.SIGQUIT, _STOP_TIMEOUT)
            self._process = None
            news = self.log[seen:]
            passes = _MEMORY_IN_USE in news or _PORT_IN_USE in news
            if not passes or time.monotonic() >= deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{news[-4000:]}")

    def _spawn(self) -> OwnedProcess:
        settings = {
            **self.settings,
            "port": self.port,
            "unix_socket_directories": str(self.folder),
        }
        command = [str(self._bindir / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={_as_setting(value)}"]
        return OwnedProcess(
            command,
            log=self.folder / "log",
            cwd=self.folder,
            user=self._system_user,
            orphan_signal=signal.SIGQUIT,
        )

    def _is_ready(self) -> bool:
        """Whether the server says, in the eighth line of its lock file as `pg_ctl` reads it, that
        it is ready.
        """
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")


def _as_setting(value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _unprivileged_user() -> str | None:
    """The system user to run the server as: None for the current one, which root can't be, as
    PostgreSQL refuses it.
    """
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
