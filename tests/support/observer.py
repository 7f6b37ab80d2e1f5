"""Samples all roles' sessions on a server from a process of its own, which answers faster than psql."""

from __future__ import annotations

import json
import select
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from servers.helper import Helper
from servers.postgres_address import Postgres

#: The seconds between two samples, each of which takes a millisecond of CPU. Sessions that come and go in between are
#: caught by the role's CONNECTION LIMIT.
INTERVAL = 0.02


@dataclass(frozen=True)
class Sight:
    """A role's sessions at one moment."""

    #: Process id, state and query of each session.
    sessions: list[tuple[int, str, str]]
    #: The greatest number of sessions at the same time, so far.
    most: int

    def count(self) -> int:
        return len(self.sessions)

    def busy(self) -> list[tuple[int, str, str]]:
        """The sessions that are in a query or in a transaction."""
        return [session for session in self.sessions if session[1] != "idle"]


class Observer(Helper):
    """Samples pg_stat_activity until it is closed; a context manager."""

    def __init__(self, server: Postgres) -> None:
        # The tests' own role may not end the sessions of others.
        super().__init__("tests.support.observer", json.dumps({**server.dsn, "user": server.query_user}))

    def __enter__(self) -> Observer:
        return self

    def look(self, role: str) -> Sight:
        """Return a role's current sessions."""
        answer = json.loads(self.ask(f"look {role}"))
        return Sight([tuple(session) for session in answer["sessions"]], answer["most"])

    def end(self, role: str) -> int:
        """Make the server end a role's sessions, wait until they are gone, and return how many there were."""
        return int(self.ask(f"end {role}"))


_SESSIONS = "select pid, coalesce(state, ''), query from pg_stat_activity where usename = %s and backend_type = %s"
_COUNTS = "select usename, count(*) from pg_stat_activity where backend_type = %s group by usename"
_END = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = %s and backend_type = %s"
_KIND = "client backend"


def main(dsn: str) -> None:
    try:
        import psycopg as driver
    except ImportError:
        import psycopg2 as driver  # type: ignore[no-redef]

    connection = driver.connect(**json.loads(dsn))
    connection.autocommit = True
    cursor: Any = connection.cursor()
    most: Counter[str] = Counter()

    def sample() -> None:
        cursor.execute(_COUNTS, [_KIND])
        for role, count in cursor.fetchall():
            most[role] = max(most[role], count)

    print("observing", flush=True)
    while True:
        while not select.select([sys.stdin], [], [], INTERVAL)[0]:
            sample()
        line = sys.stdin.readline()
        if not line:
            return
        order, role = line.split()
        sample()
        if order == "end":
            cursor.execute(_END, [role, _KIND])
            print(len(cursor.fetchall()), flush=True)
        else:
            cursor.execute(_SESSIONS, [role, _KIND])
            print(json.dumps({"sessions": cursor.fetchall(), "most": most[role]}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
