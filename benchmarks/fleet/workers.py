"""The processes of a fleet."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from servers.postgres_address import Dsn
from servers.process import OwnedProcess, wait_until

from .contenders import Contender, Driver
from .statistics import Task
from .watch import worker_name

Framework = Literal["gevent", "eventlet", "threads"]
Busy = Sequence[tuple[float, float]]

_PROJECT = Path(__file__).resolve().parent.parent / "project"
_START_SECONDS = 120.0
_LOG_CHARACTERS = 2000


@dataclass(frozen=True)
class Kind:
    """What all workers of a fleet have in common."""

    contender: Contender
    framework: Framework
    driver: Driver
    max_conns: int
    greenlets: int
    query_seconds: float
    #: Where Celery workers have their tasks from; None for processes without Celery.
    broker_url: str | None = None


class Workers:
    """Worker processes by number, and their files in a folder; a context manager that kills those that are left."""

    def __init__(self, folder: Path, dsn: Dsn) -> None:
        self._folder = folder
        self._dsn = dsn
        self._processes: dict[int, OwnedProcess] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_error: object) -> None:
        for number in list(self._processes):
            self.kill(number)

    def launch(self, number: int, kind: Kind, busy: Busy, end: float) -> None:
        """Start a process, which waits for the start of the run.

        :param busy: from when to when it runs queries, in seconds after that.
        :param end: when it ends.
        """
        self._processes[number] = OwnedProcess(
            _command(number, kind),
            log=self._log(number),
            cwd=self._folder,
            env=self._environment(number, kind, busy, end),
        )

    def wait_until_ready(self, numbers: Iterable[int]) -> None:
        """Return when processes have started.

        :raises RuntimeError: when one has ended, or is late; the message has the end of its log.
        """
        for number in numbers:
            process, ready = self._processes[number], self._folder / f"{number}.ready"
            wait_until(lambda: ready.exists() or not process.is_running, _START_SECONDS)  # noqa: B023 (called here)
            if not ready.exists():
                log = self._log(number).read_text(errors="replace")
                raise RuntimeError(f"worker {number} did not start:\n{log[-_LOG_CHARACTERS:]}")

    def begin(self, delay: float = 0.5) -> float:
        """Set the start of the run to ``delay`` seconds from now; return it, in seconds of the monotonic clock."""
        start = time.monotonic() + delay
        unfinished = self._folder / "start.part"
        unfinished.write_text(repr(start))
        unfinished.rename(self._folder / "start")
        return start

    def send_signal(self, number: int, signum: signal.Signals) -> None:
        """Send a worker a signal; does nothing when it has ended or was killed."""
        if number in self._processes:
            self._processes[number].send_signal(signum)

    def kill(self, number: int) -> None:
        """Kill a worker (SIGKILL)."""
        self._processes.pop(number).end(signal.SIGKILL, 0)

    def wait(self, timeout: float) -> list[int]:
        """Wait for the ends of all processes; return the numbers of those that have not ended after some seconds."""
        wait_until(lambda: not self._running(), timeout)
        return self._running()

    def end_all(self, timeout: float) -> dict[int, int | None]:
        """Wait for the ends of all processes; return exit statuses by number, None for those that had to be killed."""
        late = self.wait(timeout)
        statuses = {number: process.returncode for number, process in self._processes.items()}
        for number in late:
            self.kill(number)
        return statuses

    def tasks(self, number: int) -> list[Task]:
        """Return the tasks that a worker has recorded so far, those of earlier processes with its number included."""
        path = self._folder / f"{number}.tasks"
        text = path.read_text() if path.exists() else ""
        # A killed process may have left the last line unfinished.
        return [_parse(number, line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def _environment(self, number: int, kind: Kind, busy: Busy, end: float) -> dict[str, str]:
        is_ours = kind.contender.mode is not None
        database = kind.contender.database(kind.driver, kind.max_conns)
        if is_ours:
            database["OPTIONS"]["application_name"] = worker_name(number)
        address = {name.upper(): value for name, value in self._dsn.items() if name != "dbname"}
        fleet = {
            "number": number,
            "framework": kind.framework,
            "driver": kind.driver,
            "greenlets": kind.greenlets,
            "query_seconds": kind.query_seconds,
            "busy": busy,
            "end": end,
            "folder": str(self._folder),
            "keep": not is_ours,
        }
        environment = {
            **os.environ,
            "FLEET": json.dumps(fleet),
            "BENCH_APPS": json.dumps(["celery_geventpool"] if is_ours else []),
            "BENCH_BROKER": kind.broker_url or "",
            "BENCH_DATABASE": json.dumps({"NAME": self._dsn["dbname"], **address, **database}),
            "DJANGO_SETTINGS_MODULE": "subject.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH")))),
        }
        if not is_ours and kind.driver == "psycopg2" and kind.framework != "threads":
            environment["BENCH_PSYCOGREEN"] = "1"
        return environment

    def _running(self) -> list[int]:
        return [number for number, process in self._processes.items() if process.is_running]

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"


def _command(number: int, kind: Kind) -> list[str]:
    if kind.broker_url is None:
        return [sys.executable, "-m", "subject.fleet"]
    name = worker_name(number)
    return [
        *(sys.executable, "-m", "celery", "-A", "subject.fleet_worker", "worker"),
        *("-P", kind.framework, "-c", str(kind.greenlets), "-Q", name, "-n", f"{name}@localhost", "-l", "WARNING"),
        # Messages between workers and to monitors have nothing to do with the database.
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def _parse(worker: int, line: str) -> Task:
    began, *rest = line.split()
    ended = float(rest[0]) if rest else None
    return Task(worker, float(began), ended, rest[1] if len(rest) > 1 else None)
