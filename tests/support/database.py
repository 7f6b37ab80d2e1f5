"""A database alias for one test, with a role of its own."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from typing import Any

from django.db import connections, transaction

from django_geventpool import pools
from django_geventpool.pool import Pool, PoolStats
from servers.postgres_address import Postgres

from .drivers import ENGINE
from .tasks import Task, results
from .waiting import DEADLINE, eventually

_numbers = itertools.count()


class Database:
    """A database alias of Django's that connects to a server as a role of its own.

    The role's CONNECTION LIMIT is MAX_CONNS: if the pool opened one more, the server would refuse it.
    """

    def __init__(
        self,
        server: Postgres,
        options: Mapping[str, Any],
        *,
        role_limit: int | None = None,
        **settings: Any,
    ) -> None:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.server = server
        self.alias = self.role = name
        self.limit: int = options.get("MAX_CONNS", 4)
        password = f" PASSWORD '{server.password}'" if server.password else ""
        server.query(
            f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {role_limit or self.limit}{password} IN ROLE {server.user}"
        )
        self.settings: dict[str, Any] = {
            "ENGINE": ENGINE,
            "HOST": server.host,
            "PORT": server.port,
            "USER": name,
            "PASSWORD": server.password,
            "NAME": server.dbname,
            "OPTIONS": dict(options),
            **settings,
        }
        complete = connections.configure_settings({"default": {}, name: self.settings})
        connections.settings[name] = complete[name]

    @property
    def connection(self) -> Any:
        """The wrapper of the current greenlet or thread."""
        return connections[self.alias]

    @property
    def pool(self) -> Pool:
        """The alias's pool, which is made if there is none yet."""
        pool: Pool = self.connection.obtain_pool()
        return pool

    def stats(self) -> PoolStats:
        return self.pool.stats()

    def fetch(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run SQL in the current greenlet or thread, and keep the connection."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def pid(self) -> int:
        """Return the id of the server process of the current greenlet's or thread's connection."""
        return int(self.fetch("select pg_backend_pid()")[0][0])

    def raw(self) -> Any:
        """Return the driver's connection of the current greenlet or thread, which keeps it from now on."""
        self.connection.ensure_connection()
        return self.connection.connection

    def give_back(self) -> None:
        """Give the connection of the current greenlet or thread back."""
        self.connection.close()

    def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run SQL, and give the connection back."""
        try:
            return self.fetch(sql, *parameters)
        finally:
            self.give_back()

    # The role's sessions, as the server lists them

    def sessions(self, condition: str = "true") -> list[list[str]]:
        """Return process id, state and query of the role's sessions that meet a condition."""
        return self.server.query(
            "SELECT pid, state, query FROM pg_stat_activity"
            f" WHERE usename = '{self.role}' AND backend_type = 'client backend' AND ({condition})"
        )

    def count(self) -> int:
        """Return how many sessions the role has on the server."""
        return len(self.sessions())

    def running(self, text: str) -> list[list[str]]:
        """Return the sessions that are running a query with this text."""
        return self.sessions(f"state = 'active' AND query LIKE '%{text}%'")

    def await_running(self, text: str, count: int = 1) -> None:
        """Wait until a number of sessions run a query with this text."""
        eventually(lambda: len(self.running(text)) == count, f"{count} sessions running {text}")

    def terminate(self, condition: str = "true") -> int:
        """Make the server end the role's sessions that meet a condition; return their number."""
        killed = self.server.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE usename = '{self.role}' AND ({condition})"
        )
        return len(killed)

    # The pool's end

    def assert_whole(self) -> None:
        """Assert that no connection is held or waited for, and that all can be used at the same time."""
        eventually(self._is_quiet, f"nothing in use, waiting, connecting or closing: {self.pool}")
        busy = "state LIKE 'idle in transaction%' OR state = 'active'"
        # The pool may be reading the server's list of sessions, or just have.
        eventually(lambda: not self.sessions(busy), "no session busy or in a transaction")
        pids: list[int] = []
        all_held = threading.Event()

        def hold() -> None:
            try:
                with transaction.atomic(using=self.alias):
                    pids.append(self.pid())
                    assert all_held.wait(DEADLINE)
            finally:
                self.give_back()

        tasks = [Task(hold) for _ in range(self.limit)]
        eventually(
            lambda: len(pids) == self.limit or any(task.ended for task in tasks), f"all connections lent: {self.pool}"
        )
        all_held.set()
        results(tasks)
        assert len(set(pids)) == self.limit
        eventually(self._is_quiet, f"nothing in use, waiting, connecting or closing: {self.pool}")
        assert self.count() <= self.limit

    def _is_quiet(self) -> bool:
        stats = self.stats()
        return stats.in_use == stats.waiting == stats.connecting == stats.closing == 0

    def close(self) -> None:
        """Close the pool, and remove alias and role."""
        self.give_back()
        pools.close(self.alias)
        del connections[self.alias]
        del connections.settings[self.alias]
        eventually(lambda: self.count() == 0, f"no session left of {self.role}")
        self.server.query(f"DROP ROLE {self.role}")
