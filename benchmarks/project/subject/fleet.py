"""A worker of a fleet, without Celery: ``python -m subject.fleet FOLDER``, with FLEET in the environment as JSON.

FLEET has: the worker's ``number``, its ``framework`` and ``driver``, how many ``greenlets`` run queries, the
``query_seconds`` of each, ``busy``, the times from and to which they do it (in seconds after the start of the run),
``end``, when the process ends, and whether greenlets are to ``keep`` their connections (to a pooler) for good.

It writes FOLDER/NUMBER.ready, and begins when FOLDER/start has the start of the run (of the monotonic clock, which
processes of a machine have in common). For each task, FOLDER/NUMBER.tasks gets a line as soon as it has ended: when it
began, when it ended, and the class of its error; without the latter two if it has not ended at the end.
"""

import importlib
import json
import os
import sys
from pathlib import Path

FLEET = json.loads(os.environ["FLEET"])

if FLEET["framework"] == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif FLEET["framework"] == "eventlet":
    import eventlet

    eventlet.monkey_patch()

if FLEET["driver"] == "psycopg2":
    # Where both are installed, Django takes the other one.
    sys.modules["psycopg"] = None  # type: ignore[assignment]

import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402

import django  # noqa: E402

_POLL_SECONDS = 0.02
# After an error, which may come at once: when there is no server, say.
_PAUSE_SECONDS = 0.05


class Record:
    """What the tasks of this process did, in a file."""

    def __init__(self, path: Path, start: float) -> None:
        self._start = start
        self._running: set[float] = set()
        # Without a buffer, as the process may be killed.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

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

    def give_up(self) -> None:
        """Record the tasks that have not ended."""
        for began in sorted(self._running):
            self._write(f"{began:.4f}")

    def _write(self, line: str) -> None:
        os.write(self._file, line.rstrip().encode() + b"\n")


def main(folder: Path) -> None:
    """Run the queries as scheduled."""
    if os.environ.get("BENCH_PSYCOGREEN"):
        importlib.import_module(f"psycogreen.{FLEET['framework']}").patch_psycopg()
    django.setup()
    (folder / f"{FLEET['number']}.ready").touch()
    record = Record(folder / f"{FLEET['number']}.tasks", _await_start(folder / "start"))
    for _ in range(FLEET["greenlets"]):
        # In a patched process, threads are greenlets.
        threading.Thread(target=_work, args=(record,), daemon=True).start()
    time.sleep(max(0.0, FLEET["end"] - record.now()))
    record.give_up()
    # What still waits must not keep the process from ending.
    os._exit(0)


def _await_start(path: Path) -> float:
    while not path.exists():
        time.sleep(_POLL_SECONDS)
    return float(path.read_text())


def _work(record: Record) -> None:
    for begin, end in FLEET["busy"]:
        time.sleep(max(0.0, begin - record.now()))
        while record.now() < end:
            with record.task():
                _query()


def _query() -> None:
    from django.db import connection, connections

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [FLEET["query_seconds"]])
    finally:
        if not FLEET["keep"]:
            # As Celery does for Django after each task.
            connections.close_all()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
