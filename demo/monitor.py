"""Counts the worker's connections on the server."""

from __future__ import annotations

import threading

from django.db import Error, connection

_SECONDS_BETWEEN_SAMPLES = 0.02
_COUNT = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND split_part(application_name, ' ', 1) = %s
"""


class ConnectionMonitor(threading.Thread):
    """Asks pg_stat_activity fifty times a second how many connections have a name that begins with a word.

    Its own connection has another one.
    """

    def __init__(self, application_name: str) -> None:
        super().__init__(name="connection monitor", daemon=True)
        self._application_name = application_name
        self._stopped = threading.Event()
        #: The error that ended it early.
        self.error: Error | None = None
        self.current = 0
        self.peak = 0
        self.samples = 0

    def run(self) -> None:
        """Sample until stopped."""
        try:
            with connection.cursor() as cursor:
                while not self._stopped.wait(_SECONDS_BETWEEN_SAMPLES):
                    cursor.execute(_COUNT, [self._application_name])
                    (self.current,) = cursor.fetchone()
                    self.peak = max(self.peak, self.current)
                    self.samples += 1
        except Error as error:
            self.error = error
        finally:
            connection.close()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()
