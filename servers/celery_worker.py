"""A real Celery worker as a subprocess."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.logged_process import LoggedProcess


class WorkerFailed(RuntimeError):
    """The worker has ended, or is late; the message has the end of its log."""


class CeleryWorker(LoggedProcess):
    """``python -m celery -A app worker -P pool -c concurrency`` as a subprocess; a context manager.

    ``stop`` takes four seconds for an idle worker whose broker is polled, which is Celery's own time; ``kill`` takes
    none.

    :param cwd: the folder from which ``app`` can be imported.
    :param arguments: further arguments of the worker's command line ("--without-mingle" saves a second).
    :param log_file: by default ``hostname``.log in ``cwd``.
    """

    failure = WorkerFailed
    ready = re.compile(r"\S+@\S+ ready\.$", re.MULTILINE)

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
        command = [
            *(sys.executable, "-m", "celery", "-A", app, "worker"),
            *("-P", pool, "-c", str(concurrency), "-n", self.hostname, "-l", loglevel),
            *arguments,
        ]
        super().__init__(
            command,
            log_file=log_file or cwd / f"{self.hostname}.log",
            cwd=cwd,
            env=env,
            start_timeout=start_timeout,
        )

    def __repr__(self) -> str:
        state = "running" if self.is_running else f"ended with {self.returncode}"
        return f"<CeleryWorker {self.hostname} {state}>"
