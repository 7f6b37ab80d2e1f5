"""A program that runs as a subprocess and logs to a file."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from servers.process import OwnedProcess, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

STOP_TIMEOUT = 30.0
_LOG_TAIL_CHARACTERS = 4000


class LoggedProcess:
    """A command that runs as a subprocess; a context manager. It is killed, with its process group, when its owner is.

    :param log_file: where its output goes; another start appends to it.
    :param cwd: the folder that it runs in.
    :param env: what is added to the environment of this process.
    :param start_timeout: how long it may take until it is ready, in seconds.
    """

    #: The error when the process has ended, or is late; its message has the end of the log.
    failure: ClassVar[type[RuntimeError]] = RuntimeError
    #: What the process writes to its log when it is ready.
    ready: ClassVar[re.Pattern[str]]
    #: The signal that its process group gets when the owner is killed.
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL
    #: The system user that it runs as; None for the current one.
    system_user: str | None = None

    def __init__(
        self,
        command: Sequence[str],
        *,
        log_file: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        self.command = list(command)
        self.log_file = log_file
        self._cwd = cwd
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._start_timeout = start_timeout
        self._process: OwnedProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the main process.

        :raises RuntimeError: when it was never started.
        """
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the main process is running."""
        return self._process is not None and self._process.is_running

    @property
    def returncode(self) -> int | None:
        """The exit status of the last run, negative for a signal; None while it runs, or if it was never started."""
        return None if self._process is None else self._process.returncode

    @property
    def log(self) -> str:
        """The output of the process so far, since its first start."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start the process unless it runs, and return when it is ready.

        :raises RuntimeError: ``failure``, when it ends before, or isn't ready in ``start_timeout`` seconds.
        """
        if self.is_running:
            return
        written = len(self.log)
        self._process = OwnedProcess(
            self.command,
            log=self.log_file,
            cwd=self._cwd,
            env=self._env,
            user=self.system_user,
            orphan_signal=self.orphan_signal,
        )
        try:
            self._wait_until(lambda: self._is_ready(written), "not ready", self._start_timeout)
        except BaseException:
            self._end(self.orphan_signal)
            raise

    def wait_for_log(self, pattern: str | re.Pattern[str], timeout: float = 30.0, *, since: int = 0) -> re.Match[str]:
        """Wait until a pattern is found in the log, for ``timeout`` seconds at the most; return the match.

        :param since: how many characters to skip at the start of the log.
        :raises RuntimeError: ``failure``, when the time is over, or the process has ended without writing it.
        """
        compiled = re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern

        def found() -> re.Match[str] | None:
            return compiled.search(self.log, since)

        self._wait_until(lambda: found() is not None, f"{compiled.pattern!r} not found", timeout)
        match = found()
        assert match is not None
        return match

    def send_signal(self, signum: int) -> None:
        """Send a signal to the main process; does nothing when it has ended."""
        self._started().send_signal(signum)

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait for the end of the main process, for ``timeout`` seconds at the most; return whether it has ended."""
        return self._started().wait(timeout)

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """Ask the process to finish its work and end (SIGTERM); kill it after ``timeout`` seconds.

        :return: its exit status (-9 if it had to be killed); None if it was never started.
        """
        return self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End the process and its children at once (SIGKILL); does nothing when it was never started."""
        self._end(signal.SIGKILL)

    def _is_ready(self, since: int) -> bool:
        """Return whether the log says, after its first ``since`` characters, that the process is ready."""
        return self.ready.search(self.log, since) is not None

    def _wait_until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        wait_until(lambda: condition() or not self.is_running, timeout)
        if not condition():
            reason = f"{what} in {timeout:g} s" if self.is_running else f"{what}: process ended ({self.returncode})"
            raise self.failure(f"{reason}\n{' '.join(self.command)}\n{self.log[-_LOG_TAIL_CHARACTERS:]}")

    def _end(self, signum: int, timeout: float = STOP_TIMEOUT) -> int | None:
        return None if self._process is None else self._process.end(signum, timeout)

    def _started(self) -> OwnedProcess:
        if self._process is None:
            raise RuntimeError("the process was not started")
        return self._process
