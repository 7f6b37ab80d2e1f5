"""What workers of a fleet do and record, with and without Celery. FLEET in the environment, as JSON, says what.

It has: the worker's ``number``, its ``framework`` and ``driver``, how many ``greenlets`` run queries, the
``query_seconds`` of each, ``busy``, the times from and to which they do it (in seconds after the start of the run),
``end``, when the process ends, the ``folder`` of its files, and whether greenlets are to ``keep`` their connections (to
a pooler) for good.

A worker writes NUMBER.ready to the folder, and begins when the file ``start`` has the start of the run (of the
monotonic clock, which processes of a machine have in common). For each task, NUMBER.tasks gets a line as soon as it has
ended: when it began, when it ended, and the class of its error; without the latter two if it has not ended at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLEET = json.loads(os.environ["FLEET"])
FOLDER = Path(FLEET["folder"])

_POLL_SECONDS = 0.02
# After an error, which may come at once: when there is no server, say.
_PAUSE_SECONDS = 0.05


class Record:
    """What the tasks of this process did, in a file."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._running: set[float] = set()
        # Without a buffer, as the process may be killed.
        self._file = os.open(FOLDER / f"{FLEET['number']}.tasks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def now(self) -> float:
        """Return the seconds since the start of the run."""
        return time.monotonic() - self._start

    @contextmanager
    def task(self) -> Iterator[None]:
        """Record what runs in this block; its errors end here."""
        began = self.now()
        self._running.add(began)
        error = ""
        try:
            yield
        except Exception as raised:  # noqa: BLE001 (errors of all classes are counted)
            error = type(raised).__name__
        self._running.discard(began)
        self._write(f"{began:.4f} {self.now():.4f} {error}")
        if error:
            time.sleep(_PAUSE_SECONDS)

    def end_process(self) -> None:
        """Wait until the end of the run, record the tasks that have not ended, and end the process."""
        time.sleep(max(0.0, FLEET["end"] - self.now()))
        for began in sorted(self._running):
            self._write(f"{began:.4f}")
        # What still waits must not keep the process from ending.
        os._exit(0)

    def _write(self, line: str) -> None:
        os.write(self._file, line.rstrip().encode() + b"\n")


def prepare_driver() -> None:
    """Let Django take the driver that is measured, green if its user has to make it so."""
    if FLEET["driver"] == "psycopg2":
        # Where both are installed, Django takes the other one.
        sys.modules["psycopg"] = None  # type: ignore[assignment]
    if os.environ.get("BENCH_PSYCOGREEN"):
        importlib.import_module(f"psycogreen.{FLEET['framework']}").patch_psycopg()


def await_start() -> Record:
    """Say that this worker is ready, and wait for the start of the run."""
    from django.db import connections
    from django.db.utils import load_backend

    # Engine and driver are imported before the time that is measured, as they are when a Celery worker starts.
    load_backend(connections.settings["default"]["ENGINE"])
    (FOLDER / f"{FLEET['number']}.ready").touch()
    path = FOLDER / "start"
    while not path.exists():
        time.sleep(_POLL_SECONDS)
    return Record(float(path.read_text()))


def run_query() -> None:
    """Run a query, and give its connection back."""
    from django.db import connection, connections

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [FLEET["query_seconds"]])
    finally:
        if not FLEET["keep"]:
            # As Celery does for Django after each task.
            connections.close_all()
