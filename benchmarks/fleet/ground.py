"""The server that the fleets share, and the role whose limit it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from servers.postgres import PostgresServer
from servers.postgres_address import Dsn
from servers.process import wait_until

from .statistics import Counts

#: The role, and its database.
ROLE = "fleet"

_GONE_SECONDS = 30.0
#: Beside the role's: of superusers and of this program.
_FURTHER_CONNECTIONS = 30

_REFUSALS = re.compile(
    rb"FATAL: +(?:too many connections for (?:role|database)|sorry, too many clients|remaining connection slots)"
)


class Ground:
    """A server with a role that has a CONNECTION LIMIT and no rights."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    @property
    def dsn(self) -> Dsn:
        """Where workers connect to."""
        return {**self.server.dsn, "user": ROLE, "dbname": ROLE}

    @property
    def superuser_dsn(self) -> Dsn:
        """Where sessions are watched."""
        return {**self.server.dsn, "user": self.server.query_user}

    def set_limit(self, limit: int) -> None:
        """Change the role's CONNECTION LIMIT."""
        self.server.query(f"ALTER ROLE {ROLE} CONNECTION LIMIT {limit}")

    def count(self) -> Counts:
        """Return what the server has counted since it was started."""
        rows = self.server.query(
            f"SELECT sessions, xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{ROLE}'"
        )
        refused = len(_REFUSALS.findall(self.server.log_file.read_bytes()))
        return Counts(refused, *map(int, rows[0]))

    def wait_for_none(self) -> None:
        """Return when the role has no session left.

        :raises RuntimeError: when some stay.
        """
        if not wait_until(lambda: self._sessions() == 0, _GONE_SECONDS):
            raise RuntimeError(f"{self._sessions()} sessions stayed after the end of their processes")

    def _sessions(self) -> int:
        rows = self.server.query(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'")
        return int(rows[0][0])


@contextmanager
def prepared(limit: int) -> Iterator[Ground]:
    """Start the server; at the end, stop and remove it.

    :param limit: the greatest that the role is to have.
    """
    # In UTC, Django need not set the time zone of each new connection. Vacuuming could disturb any measurement.
    server = PostgresServer(max_connections=limit + _FURTHER_CONNECTIONS, timezone="UTC", autovacuum=False)
    with server:
        server.query(f"CREATE ROLE {ROLE} LOGIN")
        server.query(f"CREATE DATABASE {ROLE} OWNER {ROLE}")
        yield Ground(server)
