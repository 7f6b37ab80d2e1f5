"""A real Redis server in a temporary folder."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType

from servers.ports import HOST, free_ports
from servers.process import OwnedProcess, wait_until

_START_TIMEOUT = 15.0
_STOP_TIMEOUT = 10.0
_START_ATTEMPTS = 5
_PORT_IN_USE = "Address already in use"


class RedisNotFound(RuntimeError):
    """There is no redis-server on the machine."""


class RedisServer:
    """A Redis server of its own on a free port of 127.0.0.1; a context manager.

    What it was told survives a `kill` or `stop` and is there again after the next `start`, on the same port. It ends
    with the `with` block, `close()`, the end of the interpreter, or the death of its owner.

    Raises RedisNotFound when there is no `redis-server` on PATH.
    """

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisNotFound("no redis-server on PATH: apt-get install redis-server, or brew install redis")
        self.host = HOST
        self.port = 0
        self._program = program
        self._folder: Path | None = None
        self._process: OwnedProcess | None = None
        self._owner = os.getpid()

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RedisServer {'running' if self.is_running else 'stopped'} on {self.host}:{self.port}>"

    @property
    def url(self) -> str:
        """Where it is, as Celery's `broker_url` takes it."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.is_running

    @property
    def log(self) -> str:
        """What the server has written to its log so far, over all its starts."""
        path = None if self._folder is None else self._folder / "log"
        return path.read_text(errors="replace") if path is not None and path.exists() else ""

    def start(self) -> None:
        """Start the server and return when it takes connections; does nothing when it runs.

        Raises RuntimeError with the end of the server's log when it doesn't come up.
        """
        if self.is_running:
            return
        if self._folder is None:
            self._owner = os.getpid()
            self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
            atexit.register(self.close)
        is_new = self.port == 0
        for _ in range(_START_ATTEMPTS):
            if is_new:
                (self.port,) = free_ports(1)
            has_started, news = self._launch(self._folder)
            if has_started:
                return
            if _PORT_IN_USE not in news:
                break
        if is_new:
            self.close()
        raise RuntimeError(f"Redis did not start:\n{news[-4000:]}")

    def stop(self) -> None:
        """Shut the server down and wait for its end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL the server, like a crash."""
        self._end(signal.SIGKILL)

    def send_signal(self, signum: int) -> None:
        """Send a signal to the server; does nothing when it has ended."""
        if self._process is not None:
            self._process.send_signal(signum)

    def close(self) -> None:
        """End the server if it runs, and remove its folder. May be called again."""
        if os.getpid() != self._owner:
            return  # a forked child inherits this object, but not the server
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        atexit.unregister(self.close)

    def _launch(self, folder: Path) -> tuple[bool, str]:
        """Start the server's process and wait until it answers or has ended; return which, and what it logged."""
        log = folder / "log"
        written = len(log.read_bytes()) if log.exists() else 0
        command = [self._program, "--bind", self.host, "--port", str(self.port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        process = self._process = OwnedProcess(command, log=log, cwd=folder)
        deadline = time.monotonic() + _START_TIMEOUT
        wait_until(lambda: self._answers() or not process.is_running, deadline - time.monotonic())
        has_started = self._answers() and process.is_running
        if not has_started:
            self.kill()
        return has_started, log.read_bytes()[written:].decode(errors="replace")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                # While it loads its data it answers with an error.
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def _end(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(signum, _STOP_TIMEOUT)
            self._process = None
