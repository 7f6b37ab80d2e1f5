"""A real Celery worker as a subprocess."""

from __future__ import annotations

import os
import re
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from servers.process import OwnedProcess, wait_until

_READY = re.compile(r"\S+@\S+ ready\.$", re.MULTILINE)
_LOG_TAIL_CHARACTERS = 4000


class WorkerFailed(RuntimeError):
    """The worker ended, or was not in time; the message has the end of its log."""


class CeleryWorker:
    """`python -m celery -A app worker -P pool -c concurrency`, with its log in a file; a context
    manager.

    `cwd` is the folder from which `app` can be imported; `env` is added to the environment of this
    process. `arguments` go to the worker's command line as they are ("--without-mingle" saves a
    second). `log_file` is created (default: `hostname`.log in `cwd`); a worker that is started
    again appends to it. `start_timeout` is in seconds.

    The worker is killed, with its process group, when the process that owns it is.
    """

    def __init__(
        self,
        app: str,
        *,
        pool: str,
        concurrency: int,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        hostname: str | None = None,
        log_file: Path | None = None,
        loglevel: str = "INFO",
        start_timeout: float = 60.0,
    ) -> None:
        self.hostname = hostname or f"{pool}-{uuid.uuid4().hex[:8]}@localhost"
        self.log_file = log_file or cwd / f"{self.hostname}.log"
        self.command = [
            *(sys.executable, "-m", "celery", "-A", app, "worker"),
            *("-P", pool, "-c", str(concurrency), "-n", self.hostname, "-l", loglevel),
            *arguments,
        ]
        self._cwd = cwd
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._start_timeout = start_timeout
        self._process: OwnedProcess | None = None

    def __enter__(self) -> CeleryWorker:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.is_running else f"ended with {self.returncode}"
        return f"<CeleryWorker {self.hostname} {state}>"

    @property
    def pid(self) -> int:
        """The process id of the worker's main process. Raises RuntimeError when it was never
        started.
        """
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the worker's main process is there."""
        return self._process is not None and self._process.is_running

    @property
    def returncode(self) -> int | None:
        """The exit status of the last run, negative for a signal; None while it runs or when it was
        never started.
        """
        return None if self._process is None else self._process.returncode

    @property
    def log(self) -> str:
        """What the worker has written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start the worker and return when it takes tasks. Does nothing when it runs.

        Raises WorkerFailed when it ends before, or isn't ready in `start_timeout` seconds.
        """
        if self.is_running:
            return
        written = len(self.log)
        self._process = OwnedProcess(self.command, log=self.log_file, cwd=self._cwd, env=self._env)
        try:
            self.wait_for_log(_READY, self._start_timeout, since=written)
        except BaseException:
            self._process.end(signal.SIGKILL, 0)
            raise

    def wait_for_log(self, pattern: str | re.Pattern[str], timeout: float = 30.0, *, since: int = 0) -> re.Match[str]:
        """Wait up to `timeout` seconds until `pattern` is found in the log, and return the match.

        `since` is the number of characters of the log to leave out. Raises WorkerFailed when the
        time is over or the worker has ended without writing it.
        """
        compiled = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern

        def found() -> re.Match[str] | None:
            return compiled.search(self.log, since)

        wait_until(lambda: found() is not None or not self.is_running, timeout)
        match = found()
        if match is None:
            reason = f"not found in {timeout:g} s" if self.is_running else f"worker ended ({self.returncode})"
            tail = self.log[-_LOG_TAIL_CHARACTERS:]
            raise WorkerFailed(f"{compiled.pattern!r}: {reason}\n{' '.join(self.command)}\n{tail}")
        return match

    def send_signal(self, signum: int) -> None:
        """Send a signal to the worker's main process; does nothing when it has ended."""
        self._started().send_signal(signum)

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait up to `timeout` seconds for the end of the worker; say whether it has ended."""
        return self._started().wait(timeout)

    def stop(self, timeout: float = 30.0) -> int | None:
        """Ask the worker to finish its tasks and end (SIGTERM); kill it after `timeout` seconds.

        Returns its exit status (-9 when it had to be killed), None when it was never started. Celery itself takes four
        seconds to end an idle worker of a broker that is polled; `kill` takes none.
        """
        if self._process is None:
            return None
        return self._process.end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the worker and its children at once (SIGKILL); does nothing when it was never started."""
        if self._process is not None:
            self._process.end(signal.SIGKILL, 0)

    def _started(self) -> OwnedProcess:
        if self._process is None:
            raise RuntimeError("the worker was not started")
        return self._process
