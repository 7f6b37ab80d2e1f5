"""A server on a free port of this machine that writes to a temporary folder only."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from servers.logged_process import LoggedProcess
from servers.ports import HOST, free_ports


class OwnServer(LoggedProcess):
    """A server on a free port of 127.0.0.1; a context manager.

    After ``stop`` or ``kill``, ``start`` starts it on the same port again. The end of the ``with`` block, ``close()``
    or the end of the interpreter ends it and removes its folder. When the owner is killed, the server ends too, but its
    folder stays.
    """

    port_count: ClassVar[int] = 1
    #: What the log says when a start fails for a reason that passes: it is tried again.
    passing: ClassVar[tuple[str, ...]] = ("Address already in use",)

    def __init__(self, name: str) -> None:
        #: Has everything that the server writes.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        atexit.register(self.close)
        self._owner = os.getpid()
        self.host = HOST
        #: The first of ``ports``; 0 until it is started.
        self.port = 0
        self.ports: list[int] = []
        super().__init__([], log_file=self.folder / "log", cwd=self.folder)
        self.hand_over(self.folder)

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'running' if self.is_running else 'stopped'} on {self.host}:{self.port}>"

    def start(self) -> None:
        """Start the server unless it runs, and return when it takes connections.

        :raises RuntimeError: ``failure``, when it doesn't come up; the message has the end of its log.
        """
        is_new = self.port == 0
        deadline = time.monotonic() + self._start_timeout
        while not self.is_running:
            if is_new:
                self.ports = free_ports(self.port_count)
                self.port = self.ports[0]
            written = len(self.log)
            try:
                self.command = self._configure()
                super().start()
            except self.failure:
                news = self.log[written:]
                if time.monotonic() < deadline and any(reason in news for reason in self.passing):
                    continue
                if is_new:
                    self.close()
                raise

    def restart(self) -> None:
        """Stop the server, then start it on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server if it runs, and remove its folder, for good. May be called again."""
        if os.getpid() != self._owner:
            return  # A forked child inherits this object, but not the server.
        self._end(self.orphan_signal)
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def hand_over(self, path: Path) -> None:
        """Give a file to the system user that the server runs as."""
        if self.system_user is not None:
            shutil.chown(path, self.system_user)

    def _configure(self) -> list[str]:
        """Write the server's configuration for its ports and folder; return the command that starts it."""
        raise NotImplementedError
