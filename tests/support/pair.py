"""A pair of PostgreSQL servers: a primary and its standby."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from servers.postgres import PostgresServer
from servers.postgres_standby import StandbyServer, demote

from .waiting import eventually


class Pair:
    """A primary and its standby."""

    def __init__(self, primary: PostgresServer, standby: StandbyServer) -> None:
        self.primary = primary
        self.standby = standby

    def await_role(self, name: str) -> None:
        """Wait until the standby has a role, and everything that was written before it."""
        eventually(lambda: self.standby.query(f"select 1 from pg_roles where rolname = '{name}'"), "the replication")

    def fail_over(self) -> None:
        """Swap their roles; the old primary restarts on its port."""
        demote(self.primary)
        self.standby.promote()


@contextlib.contextmanager
def pair_of_servers() -> Iterator[Pair]:
    """Start them, with a table ``written`` that every role may write to.

    :raises PostgresNotFound: when there is no PostgreSQL on this machine.
    """
    with PostgresServer() as primary:
        primary.query("create table written (n int); grant all on written to public")
        with StandbyServer(primary) as standby:
            yield Pair(primary, standby)
