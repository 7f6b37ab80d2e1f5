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

# The data need not survive a crash of the machine.
_FAST_SETTINGS: dict[str, Setting] = {
    "fsync": False,
    "synchronous_commit": False,
    "full_page_writes": False,
    "listen_addresses": "127.0.0.1",
}


class PostgresServer(OwnServer, Postgres):
    """A PostgreSQL server with its data in a temporary folder; a context manager.

    It listens on 127.0.0.1 (``host``, ``port``) and on a Unix socket in ``socket_dir``. ``url`` and ``dsn`` are for the
    role "app", which may create databases and roles and see all of pg_stat_activity, but is no superuser: with
    ``max_connections=30`` it gets 27, and ``query``, as the superuser "postgres", still gets in when they are all taken
    (``superuser_reserved_connections``, 3 unless set).

    :param password: the password of both roles, checked by scram-sha-256; without one, every login is trusted.
    :param extension: an extension whose files the server must have ("postgis").
    :param bindir: the folder of the server's programs, instead of a search for one.
    :param settings: the server's own settings, by name: ``PostgresServer(max_connections=30, log_statement="all")``.
    :raises PostgresNotFound: when there is no PostgreSQL on this machine.
    """

    # On SIGQUIT the server removes its shared memory from the system.
    orphan_signal = signal.SIGQUIT
    # The children of a killed server hold its shared memory for another moment.
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
        """The folder of the Unix socket; drivers take it as ``host``."""
        return self.folder

    def start(self) -> None:
        """Start the server unless it runs, and return when it takes connections: in about a second the first time.

        A server that was stopped or killed comes up again with its data, on the same port.

        :raises RuntimeError: when it doesn't come up; the message has the end of its log.
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
        """Stop the server and wait for its end; its data stay for another ``start``.

        :param mode: PostgreSQL's modes: "smart" waits for clients to leave (and cuts them off after ``timeout``
            seconds), "fast" ends their sessions, "immediate" ends without a clean shutdown.
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
        """Copy the programs to where the server's system user may run them, if it can't enter root's environment."""
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
        # As the owner of the database, it may create tables in the schema "public".
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
        """Return whether the server's lock file says, in the eighth line as for ``pg_ctl``, that it is ready."""
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
    """Return the system user to run the server as: another one if this is root, with which PostgreSQL refuses to run.

    None means the current user.
    """
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
