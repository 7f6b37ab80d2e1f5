"""Web servers with the test project, and their connections as the server sees them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import celery_geventpool
from servers.postgres_address import Postgres
from servers.web_server import WebServer
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .load import Answer, ask, ask_at_once, read_half

ROOT = Path(__file__).parent.parent.parent
PROJECT_FOLDER = Path(__file__).parent / "project"
WSGI = "web_project.wsgi"
ASGI = "web_project.asgi:application"
LIMIT = 5

_numbers = itertools.count()


class Site(WebServer):
    """The test project in a web server, which connects as a role of its own.

    It has ``bound`` connections at the most. The role may have one more: at a full server, connections would be closed
    for other processes, and opened again.

    :param folder: the folder of its log.
    :param server: module and arguments of the server.
    :param processes: how many processes may open MAX_CONNS connections each.
    :param others: how many other connections there may be.
    :param env: further environment variables.
    :param options: further DATABASES["default"]["OPTIONS"].
    """

    def __init__(
        self,
        postgres: Postgres,
        folder: Path,
        server: tuple[str, Sequence[str]],
        *,
        processes: int = 1,
        others: int = 0,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.postgres = postgres
        self.role = f"web_{os.getpid()}_{next(_numbers)}"
        self.bound = processes * LIMIT + others
        password = f" PASSWORD '{postgres.password}'" if postgres.password else ""
        limit = self.bound + 1
        postgres.query(f"CREATE ROLE {self.role} LOGIN CONNECTION LIMIT {limit}{password} IN ROLE {postgres.user}")
        options = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 60, **options}
        module, arguments = server
        super().__init__(
            module,
            arguments,
            log_file=folder / f"{self.role}.log",
            cwd=PROJECT_FOLDER,
            env={**environment(postgres, self.role, options), **(env or {})},
        )
        self.watcher = Watcher(postgres, self.role, interval=0.01)

    def close(self) -> None:
        """End the server if it still runs; assert that the bound was kept, and that no connection is left."""
        with self.watcher:
            self.kill()
            self.await_no_connection()
            assert self.watcher.seen().most <= self.bound
        assert "the server has no connection left" not in self.log
        self.postgres.query(f"DROP ROLE {self.role}")

    def get(self, path: str) -> Answer:
        """Request a page."""
        return ask(self.port, path)

    def numbers(self) -> dict[str, Any]:
        """Return the numbers of the process that answers."""
        numbers: dict[str, Any] = json.loads(self.get("/-/numbers").body)
        return numbers

    def await_quiet(self) -> None:
        """Wait until no connection is held or waited for; assert that all were given back, not reclaimed."""
        eventually(self._is_quiet, f"a quiet pool of {self.command}")
        assert self.numbers()["pool"]["reclaimed"] == 0
        assert self.sessions("state <> 'idle'") == []

    def assert_given_back_after_errors(self, page: str) -> None:
        """Let more views raise than there are connections, and assert that none is lost."""
        assert {answer.status for answer in ask_at_once(self.port, [page], 2 * LIMIT)} == {500}
        self.await_quiet()

    def assert_given_back_after_hang_up(self, page: str) -> None:
        """Let more clients than there are connections read half of a streamed page, and assert that none is lost."""
        for _ in range(LIMIT + 1):
            read_half(self.port, page)
        self.await_quiet()

    def _is_quiet(self) -> bool:
        pool = self.numbers()["pool"]
        return not any(pool[what] for what in ("in_use", "connecting", "closing", "waiting"))

    # Connections on the server

    def sessions(self, condition: str = "true") -> list[int]:
        """Return the process ids of the connections that meet a condition."""
        rows = self.postgres.query(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND usename = '{self.role}' AND ({condition})"
        )
        return [int(row[0]) for row in rows]

    def await_sessions(self, count: int, condition: str) -> list[int]:
        """Wait until a number of connections meet a condition; return their process ids."""

        def found() -> list[int] | None:
            pids = self.sessions(condition)
            return pids if len(pids) == count else None

        return eventually(found, f"{count} times {condition} of {self.command}")

    def await_no_connection(self) -> None:
        eventually(lambda: self.sessions() == [], f"no connection left of {self.command}")

    def cancel_queries(self) -> None:
        self.postgres.query(
            f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{self.role}' AND state = 'active'"
        )


def environment(postgres: Postgres, role: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of the test project."""
    password = f":{quote(postgres.password, safe='')}" if postgres.password else ""
    folders = [os.environ.get("PYTHONPATH"), str(PROJECT_FOLDER), str(ROOT / "example_project")]
    # The checkout is on the server's path only if it is on this process's too.
    if Path(celery_geventpool.__file__).parent.parent == ROOT:
        folders.append(str(ROOT))
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        "DATABASE_URL": f"postgres://{role}{password}@{postgres.host}:{postgres.port}/{postgres.dbname}",
        "DJANGO_SETTINGS_MODULE": "web_project.settings",
        "WEB_OPTIONS": json.dumps(options),
    }


def make_library(postgres: Postgres, modules: int) -> None:
    """Create the example project's tables, with a number of modules of two definitions each."""
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **environment(postgres, postgres.user, {})},
        check=True,
    )
    postgres.query(
        "INSERT INTO library_module (path, name, lines, parsable, indexed_at)"
        f" SELECT 'm' || i || '.py', 'm' || i, i, true, now() FROM generate_series(1, {modules}) i;"
        "INSERT INTO library_definition (module_id, kind, name, line)"
        " SELECT id, kind, name || '_' || kind, 1 FROM library_module, unnest('{function,class}'::text[]) kind"
    )
