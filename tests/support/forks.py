"""Forks the test's own process."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any

from .tasks import FRAMEWORK
from .waiting import eventually

#: What the next children do first.
_first: list[Callable[[], object]] = []


def register() -> None:
    """Register a fork hook before the packages are imported, as a project may that has hooks of its own."""
    os.register_at_fork(after_in_child=lambda: [hook() for hook in _first])


def fork_in_c() -> int:
    """Fork as uWSGI does: none of Python's fork hooks run."""
    pid: int = ctypes.PyDLL(None).fork()
    if pid == 0 and FRAMEWORK == "gevent":
        import gevent

        gevent.reinit()
    return pid


def in_child(
    function: Callable[[], Any], *, fork: Callable[[], int] = os.fork, first: Callable[[], object] | None = None
) -> Any:
    """Call a function in a forked child, and return its result, which is passed as JSON.

    This process's greenlets and threads go on meanwhile.

    :param first: called in the child before the packages' own fork hooks.
    :raises AssertionError: when the function raises; the message is the child's traceback.
    """
    reader, writer = os.pipe()
    _first[:] = () if first is None else (first,)
    pid = fork()
    if pid == 0:
        _be_child(function, writer)
    os.close(writer)
    os.set_blocking(reader, False)
    answer = b""
    try:
        eventually(lambda: _has_ended(pid), "the end of the child", 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(BlockingIOError):
            answer = os.read(reader, 1 << 20)
        os.close(reader)
    outcome = json.loads(answer)
    assert "error" not in outcome, outcome["error"]
    return outcome["value"]


def start_afresh() -> None:
    """Make a forked child leave its parent's event loop alone, if its framework doesn't do so by itself."""
    if FRAMEWORK == "eventlet":
        from eventlet import hubs

        hubs.use_hub()


def let_others_run(seconds: float) -> None:
    """Give each greenlet that could run in this process the time to do so."""
    time.sleep(seconds)


def _be_child(function: Callable[[], Any], writer: int) -> None:
    try:
        start_afresh()
        outcome = {"value": function()}
    except BaseException:  # noqa: BLE001  the child must never go on with the parent's code
        outcome = {"error": traceback.format_exc()}
    try:
        os.write(writer, json.dumps(outcome).encode())
    finally:
        os._exit(0)


def _has_ended(pid: int) -> bool:
    # Not gevent's waitpid(), which misses the process's first child if that ends before it is watched.
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    except ChildProcessError:
        return True  # The event loop has reaped the child already.
