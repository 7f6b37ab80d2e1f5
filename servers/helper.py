"""Helper programs, each in a process of its own, that answer line by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

#: The folder of the checkout.
ROOT = Path(__file__).parent.parent


class Helper:
    """A module of the checkout, run as a program that answers each line of its input with one line.

    It is never monkey-patched. It ends when its input does, and so with its owner too.
    """

    def __init__(self, module: str, *args: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.greeting = self._read()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the program, and wait for it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args!r} ended"
        return line.decode().strip()
