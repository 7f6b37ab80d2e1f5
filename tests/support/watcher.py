"""Samples which sessions a role has on the server, from a process of its own."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass

from servers.helper import Helper
from servers.postgres_address import Postgres


@dataclass(frozen=True)
class Seen:
    """The watcher's counts for a role so far."""

    #: The greatest number of sessions at the same time.
    most: int
    #: The number of different sessions.
    sessions: int
    #: The number of samples.
    looks: int


class Watcher(Helper):
    """Samples pg_stat_activity, in a process of its own, from its making to its closing; a context manager.

    :param interval: seconds between two looks. Each takes half a millisecond of the processors.
    """

    def __init__(self, server: Postgres, role: str, *, interval: float = 0.002) -> None:
        super().__init__("tests.support.watcher", json.dumps(server.dsn), role, str(interval))

    def __enter__(self) -> Watcher:
        return self

    def seen(self) -> Seen:
        return Seen(**json.loads(self.ask("seen")))


_SESSIONS = "select pid, backend_start from pg_stat_activity where usename = %s and backend_type = 'client backend'"


def main(dsn: str, role: str, interval: str) -> None:
    try:
        import psycopg as driver
    except ImportError:
        import psycopg2 as driver  # type: ignore[no-redef]

    connection = driver.connect(**json.loads(dsn))
    connection.autocommit = True
    cursor = connection.cursor()
    sessions: set[tuple[object, ...]] = set()
    most = looks = 0
    asked = threading.Event()
    ended = threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            asked.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    print("watching", flush=True)
    while not ended.wait(float(interval)):
        answers = asked.is_set()
        cursor.execute(_SESSIONS, [role])
        rows = cursor.fetchall()
        sessions.update(rows)
        most = max(most, len(rows))
        looks += 1
        if answers:
            asked.clear()
            print(json.dumps({"most": most, "sessions": len(sessions), "looks": looks}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
