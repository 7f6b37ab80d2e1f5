"""Samples a role's sessions on the server, by worker."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

import psycopg2

from servers.postgres_address import Dsn

from .statistics import Sample

#: Between two samples (seconds), each of which takes a millisecond of CPU.
INTERVAL = 0.04
#: What the application names of workers begin with; their numbers follow.
NAME = "fleet-"

_SESSIONS = f"""
    SELECT substring(application_name FROM '^{NAME}([0-9]+)'), count(*) FROM pg_stat_activity
    WHERE usename = %s AND backend_type = 'client backend' GROUP BY 1
"""


def worker_name(number: int) -> str:
    """Return the application name of a worker's connections."""
    return f"{NAME}{number}"


class SessionWatch:
    """Samples a role's sessions in a thread; a context manager, after whose end ``samples`` are complete.

    While the server can't be reached there are no samples.

    :param dsn: of a superuser, whom no limit of the role keeps out.
    """

    def __init__(self, dsn: Dsn, role: str) -> None:
        #: Of the monotonic clock.
        self.samples: list[Sample] = []
        self._dsn = dsn
        self._role = role
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="session watch", daemon=True)

    def __enter__(self) -> SessionWatch:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def follow(self, dsn: Dsn) -> None:
        """Watch another server, as soon as the one that is watched is gone."""
        self._dsn = dsn

    def _watch(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(psycopg2.Error):
                self._sample_until_lost()
            self._over.wait(INTERVAL)

    def _sample_until_lost(self) -> None:
        connection = psycopg2.connect(**self._dsn, application_name="session watch", connect_timeout=5)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not self._over.is_set():
                    cursor.execute(_SESSIONS, [self._role])
                    sessions = {None if name is None else int(name): count for name, count in cursor.fetchall()}
                    self.samples.append(Sample(time.monotonic(), sessions))
                    self._over.wait(INTERVAL)
        finally:
            connection.close()
