"""Sets up the stages: servers, what stands before them, and contenders' processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer
from servers.postgres_standby import StandbyServer
from servers.process import wait_until
from servers.proxy import Proxy

from ..contenders import LIMIT, Contender
from ..environments import Environments
from ..fleet.watch import SessionWatch
from .contenders import PGBOUNCER_SETTINGS
from .names import HOST, silent_name_server
from .scenario import Setting
from .stage import ROLE, Stage
from .subject import Subject

_MAX_CONNECTIONS = 400
_DEAD_HOST = "127.0.0.2"
_GONE_SECONDS = 15.0
_RESULTS_APP = "django_celery_results"
_DJANGO = "django.db.backends.postgresql"


class Ground:
    """The server that the scenarios have in common, and the contenders' environments."""

    def __init__(self, server: PostgresServer, environments: Environments) -> None:
        self.server = server
        self.environments = environments
        self._has_results = False

    @contextmanager
    def stage(self, contender: Contender, setting: Setting) -> Iterator[Stage]:
        """Yield a stage for a contender; at the end, everything on it is gone."""
        with ExitStack() as stack:
            server, standby = self.server, None
            if setting.has_standby:
                server = stack.enter_context(_make_server())
                standby = stack.enter_context(StandbyServer(server))
            else:
                stack.enter_context(self._cleaned())
            network = stack.enter_context(Proxy(server.host, server.port)) if setting.has_network else None
            address = {"HOST": server.host, "PORT": network.port if network else server.port}
            if setting.has_dead_host:
                stack.enter_context(socket.create_server((_DEAD_HOST, server.port)))
                address["HOST"] = f"{_DEAD_HOST},{server.host}"
            pooler = None
            if contender.through_pgbouncer:
                pooler = stack.enter_context(_make_pooler(address))
                address = {"HOST": pooler.host, "PORT": pooler.port}
            watch = stack.enter_context(SessionWatch({**server.dsn, "user": server.query_user}, ROLE))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geventpool-faults-")))
            python = self.environments.obtain(contender).python
            if setting.stores_results:
                self._prepare_results(python)
            prefix: list[str] = []
            if setting.has_silent_names:
                address["HOST"] = HOST
                prefix = stack.enter_context(silent_name_server(folder))
            variables = self._variables(contender, address, stores_results=setting.stores_results)
            subject = stack.enter_context(Subject([*prefix, str(python)], folder, variables, setting.concurrency))
            yield Stage(subject, server, watch, pooler, network, standby)

    @contextmanager
    def _cleaned(self) -> Iterator[None]:
        """Have the common server as if nothing had been before, at the begin and at the end."""
        self._clean()
        try:
            yield
        finally:
            self._clean()

    def _clean(self) -> None:
        self.server.start()
        sessions = f"FROM pg_stat_activity WHERE usename = '{ROLE}'"
        self.server.query(f"SELECT pg_terminate_backend(pid) {sessions}")
        if not wait_until(lambda: self.server.query(f"SELECT count(*) {sessions}") == [["0"]], _GONE_SECONDS):
            raise RuntimeError("sessions stayed after the end of their processes")
        self.server.query(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
        self.server.query("TRUNCATE written", dbname=ROLE)
        if self._has_results:
            self.server.query("TRUNCATE django_celery_results_taskresult", dbname=ROLE)

    def _prepare_results(self, python: Path) -> None:
        if self._has_results:
            return
        plain = Contender("plain", "", "peer", _DJANGO)
        address = {"HOST": self.server.host, "PORT": self.server.port}
        command = [str(python), "-m", "django", "migrate", _RESULTS_APP, "--verbosity=0"]
        variables = self._variables(plain, address, stores_results=True)
        result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"the table of results could not be made:\n{result.stderr}")
        self._has_results = True

    def _variables(
        self, contender: Contender, address: Mapping[str, object], *, stores_results: bool
    ) -> dict[str, str]:
        database = {"ENGINE": contender.engine, "NAME": ROLE, "USER": ROLE, **address, **contender.database}
        celery: dict[str, Any] = {}
        apps = contender.apps
        if stores_results:
            celery = {"result_backend": "django-db", "task_ignore_result": False}
            apps = (*apps, _RESULTS_APP)
        variables = {
            **os.environ,
            "BENCH_APPS": json.dumps(apps),
            "BENCH_BROKER": json.dumps(celery),
            "BENCH_DATABASE": json.dumps(database),
            "DJANGO_SETTINGS_MODULE": "subject.settings",
            "PYTHONPATH": self.environments.python_path,
        }
        if contender.needs_psycogreen:
            variables["BENCH_PSYCOGREEN"] = "1"
        return variables


@contextmanager
def prepared(environments: Environments) -> Iterator[Ground]:
    """Start the common server; at the end, stop and remove it."""
    with _make_server() as server:
        yield Ground(server, environments)


@contextmanager
def _make_server() -> Iterator[PostgresServer]:
    with PostgresServer(max_connections=_MAX_CONNECTIONS, timezone="UTC", autovacuum=False) as server:
        server.query(f"CREATE ROLE {ROLE} LOGIN")
        server.query(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
        server.query(f"CREATE TABLE written (n int); ALTER TABLE written OWNER TO {ROLE}", dbname=ROLE)
        yield server


def _make_pooler(address: Mapping[str, Any]) -> PgBouncer:
    dsn = {"host": address["HOST"], "port": address["PORT"], "user": ROLE, "password": "", "dbname": ROLE}
    return PgBouncer(dsn, pool_mode="transaction", size=LIMIT, **PGBOUNCER_SETTINGS)  # type: ignore[arg-type]
