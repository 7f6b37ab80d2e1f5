"""A look at the stack to see who is running, for the rare cases in which nothing else tells."""

from __future__ import annotations

import inspect
from collections.abc import Container
from types import CodeType, FrameType


def is_executing(frame: FrameType) -> bool:
    """Return whether a function has yet to end, in a greenlet that waits or in another thread.

    Python tells it only by the error with which ``clear`` refuses a frame that is executing.

    :param frame: the function's; if it has ended, this clears its local variables.
    """
    try:
        frame.clear()
    except RuntimeError:
        return True
    return False


def is_running(codes: Container[CodeType], owner: object) -> bool:
    """Return whether the running greenlet or thread is in the middle of one of some methods of an object.

    :param codes: the methods'.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code in codes and frame.f_locals["self"] is owner:
            return True
        frame = frame.f_back
    return False
