"""A real web server for a Django project as a subprocess."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.logged_process import LoggedProcess
from servers.ports import HOST


class WebServerFailed(RuntimeError):
    """The web server ended, or was not in time; the message has the end of its log."""


class WebServer(LoggedProcess):
    """`python -m module arguments`, with its log in `log_file`; a context manager.

    The server must listen on 127.0.0.1, on a port that the system picks, and log where; see
    `gunicorn` and `uvicorn`. `cwd` is the folder from which the application can be
    imported; `env` is added to the environment of this process. `start_timeout` is in seconds.

    The server is killed, with its process group, when the process that owns it is.
    """

    failure = WebServerFailed
    ready = re.compile(r"(?:Listening at|running on):? http://127\.0\.0\.1:(\d+)")

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        log_file: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        command = [sys.executable, "-m", module, *arguments]
        super().__init__(command, log_file=log_file, cwd=cwd, env=env, start_timeout=start_timeout)
        self.port = 0

    def start(self) -> None:
        """Start the server and return when it listens. Does nothing when it runs.

        Raises WebServerFailed when it ends before, or doesn't listen in `start_timeout` seconds.
        """
        if self.is_running:
            return
        written = len(self.log)
        super().start()
        self.port = int(self.wait_for_log(self.ready, since=written)[1])


def gunicorn(application: str, worker_class: str, *arguments: str) -> tuple[str, list[str]]:
    """Module and arguments of gunicorn."""
    # Its control socket would be one for all servers of the user.
    options = ["--worker-class", worker_class, "--bind", f"{HOST}:0", "--no-control-socket"]
    return "gunicorn", [*options, *arguments, application]


def uvicorn(application: str, *arguments: str) -> tuple[str, list[str]]:
    """Module and arguments of uvicorn."""
    return "uvicorn", ["--host", HOST, "--port", "0", *arguments, application]
