"""A process that queries all the time, for tests of several that share a role's limit."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from .database import Database
from .programs import output_of, start_program
from .tasks import Task, results


def work(folder: str, name: str, tasks: str) -> None:
    """Query with some tasks at the same time while a file NAME is there, until a file "end" is."""
    import django
    from django.db import connection

    django.setup()
    busy, end = Path(folder, name), Path(folder, "end")

    def query_again_and_again() -> int:
        queries = 0
        while not end.exists():
            if not busy.exists():
                time.sleep(0.02)
                continue
            with connection.cursor() as cursor:
                cursor.execute("select pg_sleep(0.03)")
            connection.close()
            queries += 1
        return queries

    print(sum(results([Task(query_again_and_again) for _ in range(int(tasks))], 300)), "queries")


class Worker:
    """One such process.

    :param database: whose role and settings it has.
    """

    def __init__(self, database: Database, folder: Path, name: str, *, tasks: int = 10) -> None:
        self._busy = folder / name
        self.make_busy()
        settings = {**database.settings, "OPTIONS": {**database.settings["OPTIONS"], "application_name": name}}
        self.name = name
        self._database = database
        self.process: subprocess.Popen[bytes] = start_program(
            "tests.support.fleet_worker:work", settings, str(folder), name, str(tasks)
        )

    def make_busy(self) -> None:
        self._busy.touch()

    def make_idle(self) -> None:
        self._busy.unlink()

    def sessions(self) -> int:
        """Return how many sessions it has on the server."""
        return len(self._database.sessions(f"starts_with(application_name, '{self.name} ')"))

    def output(self) -> str:
        """Wait for its end, and return what it has printed."""
        return output_of(self.process)
