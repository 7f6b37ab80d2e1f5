"""A child process that cannot outlive the process that started it."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Reads until its standard input is closed, which the kernel does however the owner ends (by SIGKILL too), and then
# signals the group. PR_SET_PDEATHSIG is Linux's alone, and fires already when the thread that started the process ends.
_GUARD = "import os, sys; sys.stdin.buffer.read(); os.killpg(int(sys.argv[1]), int(sys.argv[2]))"

_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll a condition until it is true, for ``timeout`` seconds at the most; return whether it became true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


class OwnedProcess:
    """A subprocess in a session of its own, whose output goes to a file.

    Ctrl-C at the terminal does not reach it: its owner decides when and in which order processes end.

    :param user: the system user to run as, which needs root; None for the current one.
    :param orphan_signal: the signal that the process group gets when the owner is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        orphan_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=group_of(user),
                extra_groups=None if user is None else [],
            )
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD, str(self.pid), str(orphan_signal.value)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def is_running(self) -> bool:
        """Whether the process is still running."""
        return self.returncode is None

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process alone; does nothing when it has ended."""
        self._process.send_signal(signum)

    def wait(self, timeout: float) -> bool:
        """Wait for the end of the process, for ``timeout`` seconds at the most; return whether it has ended."""
        return wait_until(lambda: not self.is_running, timeout)

    def end(self, signum: int, timeout: float) -> int:
        """Send a signal, wait for ``timeout`` seconds at the most, then kill the group; return the exit status."""
        try:
            self.send_signal(signum)
            self.wait(timeout)
        finally:
            self._end_now()
        return self._process.wait()

    def _end_now(self) -> None:
        """Kill what is left of the process group, then the guard."""
        # For an empty group, macOS says "not permitted" until its leader has been waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # The guard must be dead before its standard input is closed: the group's id may be in use again by then.
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()


def group_of(user: str | None) -> int | None:
    """Return the primary group of a system user; None for None, with which ``subprocess`` keeps the current group."""
    if user is None:
        return None
    return pwd.getpwnam(user).pw_gid
