"""A real web server for a Django project as a subprocess."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from servers.logged_process import LoggedProcess
from servers.ports import HOST


class WebServerFailed(RuntimeError):
    """The web server has ended, or is late; the message has the end of its log."""


class WebServer(LoggedProcess):
    """``python -m module arguments`` as a subprocess; a context manager.

    The server must listen on 127.0.0.1, on a port that the system picks, and log that port; see ``gunicorn`` and
    ``uvicorn``.

    :param cwd: the folder from which the application can be imported.
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
        """Start the server unless it runs, and return when it listens.

        :raises WebServerFailed: when it ends before, or doesn't listen in ``start_timeout`` seconds.
        """
        if self.is_running:
            return
        written = len(self.log)
        super().start()
        self.port = int(self.wait_for_log(self.ready, since=written)[1])


def gunicorn(application: str, worker_class: str, *arguments: str) -> tuple[str, list[str]]:
    """Return the module and arguments of gunicorn."""
    # All servers of a user would have the same control socket.
    options = ["--worker-class", worker_class, "--bind", f"{HOST}:0", "--no-control-socket"]
    return "gunicorn", [*options, *arguments, application]


def uvicorn(application: str, *arguments: str) -> tuple[str, list[str]]:
    """Return the module and arguments of uvicorn."""
    return "uvicorn", ["--host", HOST, "--port", "0", *arguments, application]
