"""Counts a contender's connections on the server, from a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType

import psycopg2

from servers.postgres_address import Dsn
from servers.process import wait_until

_SECONDS_BETWEEN_SAMPLES = 0.02
_GONE_SECONDS = 15.0
_COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"


class ConnectionMonitor:
    """Asks pg_stat_activity fifty times a second how many connections a database has; a context manager.

    A connection that comes and goes between two samples is not seen.

    :param dsn: another database of the same server, for its own connection.
    :param database: whose connections to count.
    """

    def __init__(self, dsn: Dsn, database: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._current: Synchronized[int] = context.Value("i", 0)
        self._peak: Synchronized[int] = context.Value("i", 0)
        self._samples: Synchronized[int] = context.Value("i", 0)
        self._process = context.Process(
            target=_sample,
            args=(dsn, database, self._current, self._peak, self._samples, os.getpid()),
            name="connection monitor",
            daemon=True,
        )

    def __enter__(self) -> ConnectionMonitor:
        self._process.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def peak(self) -> int:
        """The greatest number of connections since the last ``reset``."""
        return self._peak.value

    def reset(self) -> None:
        """Forget the peak."""
        self._peak.value = self._current.value

    def wait_for_none(self) -> None:
        """Return when there is no connection left.

        :raises RuntimeError: when some stay, or the counting process has ended.
        """
        self._wait_for_sample()
        if not wait_until(lambda: self._current.value == 0, _GONE_SECONDS):
            raise RuntimeError(f"{self._current.value} connections stayed after the end of their process")

    def _wait_for_sample(self) -> None:
        before = self._samples.value
        # The second sample from now was certainly begun after this call.
        if not wait_until(lambda: self._samples.value >= before + 2, _GONE_SECONDS):
            raise RuntimeError("the connection monitor has ended")


def _sample(
    dsn: Dsn, database: str, current: Synchronized[int], peak: Synchronized[int], samples: Synchronized[int], owner: int
) -> None:
    connection = psycopg2.connect(**dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # If the owner is killed, nothing else ends this process.
        while os.getppid() == owner:
            cursor.execute(_COUNT, [database])
            row = cursor.fetchone()
            assert row is not None
            current.value = row[0]
            peak.value = max(peak.value, row[0])
            samples.value += 1
            time.sleep(_SECONDS_BETWEEN_SAMPLES)
