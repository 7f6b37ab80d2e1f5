"""The keys that are pressed while ``top`` waits."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator


class Keys:
    """Tells which keys are pressed; none where the input is no terminal, or the system has no ``termios``.

    A context manager: in it, a key is read when it is pressed, and isn't shown. Ctrl-C still interrupts.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._can_read = False

    def __enter__(self) -> Keys:
        # AttributeError: there may be no input at all.
        with contextlib.suppress(AttributeError, ImportError, OSError, ValueError):
            self._stack.enter_context(_read_each_key(sys.stdin.fileno()))
            self._can_read = True
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def wait(self, seconds: float) -> str | None:
        """Wait for a key, for so many seconds at the most; return it, None if none was pressed."""
        if not self._can_read:
            time.sleep(max(0.0, seconds))
            return None
        ready, _, _ = select.select([sys.stdin], [], [], max(0.0, seconds))
        if not ready:
            return None
        # Past Python's buffer, which ``select`` knows nothing of; of several keys, the last one counts.
        keys = os.read(sys.stdin.fileno(), 100).decode(errors="replace")
        self._can_read = bool(keys)  # Else the terminal is gone.
        return keys[-1:] or None


@contextlib.contextmanager
def _read_each_key(descriptor: int) -> Iterator[None]:
    """Make a terminal give each key at once.

    :raises ImportError: where the system has no such terminals.
    :raises OSError: if it is none, or another program's now; termios' own error is another.
    """
    import termios
    import tty

    if _is_in_background(descriptor):
        raise OSError("a program in the background that changes its terminal is stopped")
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error as error:
        raise OSError(str(error)) from error
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _is_in_background(descriptor: int) -> bool:
    """Return whether the terminal is another program's now."""
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False  # It isn't the one that controls this program, nor stops it.
