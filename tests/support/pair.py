"""Two PostgreSQL servers: a primary, and a standby that follows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from servers.postgres import PostgresServer
from servers.postgres_standby import StandbyServer, demote

from .waiting import eventually


class Pair:
    """A primary and a standby of it."""

    def __init__(self, primary: PostgresServer, standby: StandbyServer) -> None:
        self.primary = primary
        self.standby = standby

    def await_role(self, name: str) -> None:
        """Wait until the standby knows a role, and all that came before it."""
        eventually(lambda: self.standby.query(f"select 1 from pg_roles where rolname = '{name}'"), "the replication")

    def fail_over(self) -> None:
        """Have the two change their parts. The old primary restarts in its place."""
        demote(self.primary)
        self.standby.promote()


@contextlib.contextmanager
def pair_of_servers() -> Iterator[Pair]:
    """Start them, with a table `written` that everybody may write to. Raises PostgresNotFound."""
    with PostgresServer() as primary:
        primary.query("create table written (n int); grant all on written to public")
        with StandbyServer(primary) as standby:
            yield Pair(primary, standby)
