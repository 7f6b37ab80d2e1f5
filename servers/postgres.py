"""A real PostgreSQL server in a temporary folder."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import Literal

from servers.logged_process import STOP_TIMEOUT
from servers.own_server import OwnServer
from servers.postgres_address import MAINTENANCE_DATABASE, SUPERUSER, Postgres
from servers.postgres_binaries import copy_wheel, find_bindir, wheel_root
from servers.process import group_of

StopMode = Literal["smart", "fast", "immediate"]
Setting = str | int | float | bool

_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_APP_USER = "app"

# Nothing here has to survive the machine.
_FAST_SETTINGS: dict[str, Setting] = {
    "fsync": False,
    "synchronous_commit": False,
    "full_page_writes": False,
    "listen_addresses": "127.0.0.1",
}


class PostgresServer(OwnServer, Postgres):
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

    Raises PostgresNotFound when there is no PostgreSQL on the machine.
    """

    # It leaves nothing in the system's shared memory.
    orphan_signal = signal.SIGQUIT
    # A server that was killed leaves children behind that hold its memory for a moment.
    passing = (*OwnServer.passing, "pre-existing shared memory block")

    def __init__(
        self,
        *,
        password: str = "",
        extension: str | None = None,
        bindir: Path | None = None,
        **settings: Setting,
    ) -> None:
        #: The folder that its programs were installed in.
        self.bindir = bindir or find_bindir(extension)
        self.settings: dict[str, Setting] = {**_FAST_SETTINGS, **settings}
        self.system_user = unprivileged_user()
        OwnServer.__init__(self, "postgres")
        Postgres.__init__(self, host=self.host, port=self.port, user=_APP_USER, password=password, query_user=SUPERUSER)

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket, to be given to a driver as `host`."""
        return self.folder

    def start(self) -> None:
        """Start the server and return when it takes connections, in about a second the first time.

        Does nothing when it runs. A server that was stopped or killed comes up again with its data,
        on the same port. Raises RuntimeError with the end of the server's log when it doesn't come
        up.
        """
        if self.port:
            super().start()
            return
        try:
            self._install()
            self._make_cluster()
            super().start()
            self._create_app_role()
        except BaseException:
            self.close()
            raise

    def stop(self, timeout: float = STOP_TIMEOUT, *, mode: StopMode = "fast") -> int | None:
        """Stop the server and wait for its end; its data stay for another `start`.

        Modes are PostgreSQL's: "smart" waits for the clients to leave (for `timeout` seconds, then
        they are cut), "fast" ends their sessions, "immediate" ends without a clean shutdown.
        """
        return self._end(_STOP_SIGNALS[mode], timeout)

    def restart(self, *, mode: StopMode = "fast") -> None:
        """Stop the server, then start it on the same port with the same data."""
        self.stop(mode=mode)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _psql(self) -> Path:
        return self.bindir / "psql"

    def _install(self) -> None:
        """Have the programs where its system user may run them: it may have no way into root's environment."""
        self._programs = self.bindir
        if self.system_user is not None and wheel_root(self.bindir) is not None:
            self._programs = copy_wheel(self.bindir, self.folder / "install")

    def _make_cluster(self) -> None:
        auth = "trust"
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", SUPERUSER]
        if self.password:
            auth = "scram-sha-256"
            password_file = self.folder / "password"
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
            cwd=self.folder,
            user=self.system_user,
            group=group_of(self.system_user),
            extra_groups=None if self.system_user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"{Path(command[0]).name} failed:\n{result.stdout}")

    def _create_app_role(self) -> None:
        # The owner of the database may create tables in its schema "public".
        password = f" PASSWORD '{self.password.replace(chr(39), chr(39) * 2)}'" if self.password else ""
        self.query(
            f"CREATE ROLE {_APP_USER} LOGIN CREATEDB CREATEROLE{password};"
            f"GRANT pg_monitor TO {_APP_USER};"
            f"ALTER DATABASE {MAINTENANCE_DATABASE} OWNER TO {_APP_USER}"
        )

    def _configure(self) -> list[str]:
        settings = {**self.settings, "port": self.port, "unix_socket_directories": str(self.folder)}
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={_as_setting(value)}"]
        return command

    def _is_ready(self, since: int) -> bool:
        """Whether the server says, in the eighth line of its lock file as `pg_ctl` reads it, that
        it is ready.
        """
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")


def _as_setting(value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def unprivileged_user() -> str | None:
    """The system user to run the server as: None for the current one, which root can't be, as
    PostgreSQL refuses it.
    """
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
