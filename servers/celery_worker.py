"""A real Celery worker as a subprocess."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.logged_process import LoggedProcess


class WorkerFailed(RuntimeError):
    """The worker ended, or was not in time; the message has the end of its log."""


class CeleryWorker(LoggedProcess):
    """`python -m celery -A app worker -P pool -c concurrency`, with its log in a file; a context
    manager.

    `cwd` is the folder from which `app` can be imported; `env` is added to the environment of this
    process. `arguments` go to the worker's command line as they are ("--without-mingle" saves a
    second). `log_file` is created (default: `hostname`.log in `cwd`); a worker that is started
    again appends to it. `start_timeout` is in seconds.

    Celery itself takes four seconds to end an idle worker of a broker that is polled (`stop`);
    `kill` takes none.

    The worker is killed, with its process group, when the process that owns it is.
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
