"""Greenlets of the active framework, or threads without one, behind one interface."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, TypeVar, cast

from .waiting import DEADLINE

T = TypeVar("T")
Interruption = Literal["kill", "timeout"]

FRAMEWORK = os.environ.get("TEST_FRAMEWORK", "threads")


class Task(Generic[T]):
    """A function that runs in a greenlet or thread of its own; its result or error is kept."""

    def __init__(self, function: Callable[..., T], *args: Any) -> None:
        self.error: BaseException | None = None
        self._value: T | None = None
        self._begun = False
        self._ended = threading.Event()
        self.greenlet = _start(self._run, function, args)

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._begun = True
        try:
            self._value = function(*args)
        except BaseException as error:  # noqa: BLE001  raised again by ``result``
            self.error = error
        finally:
            self._ended.set()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, timeout: float = DEADLINE) -> None:
        """Wait for the end, whether with a result or an error."""
        assert self._ended.wait(timeout), f"a task did not end within {timeout} s"

    def result(self, timeout: float = DEADLINE) -> T:
        """Wait for the end, and return what the function returned or raise what it raised."""
        self.wait(timeout)
        if self.error is not None:
            raise self.error
        return cast("T", self._value)

    def interrupt(self, how: Interruption = "kill") -> None:
        """Kill the greenlet, or raise the framework's Timeout in it, where it waits now; don't wait for its end."""
        assert FRAMEWORK != "threads", "a thread can't be interrupted"
        if FRAMEWORK == "gevent":
            import gevent

            error = gevent.GreenletExit() if how == "kill" else gevent.Timeout()
            self.greenlet.kill(error, block=False)
            if not self._begun:
                # It never starts now, and so can't record its end.
                self.error = error
                self._ended.set()
        else:
            import eventlet
            import greenlet

            error = greenlet.GreenletExit() if how == "kill" else eventlet.Timeout()
            # Not from this greenlet: the killed one would run at once, in the middle of the caller.
            eventlet.spawn_n(eventlet.kill, self.greenlet, error)


def framework_timeout(seconds: float) -> Any:
    """Return the framework's own Timeout, which starts when it is entered as a context manager."""
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.Timeout(seconds)
    import eventlet

    return eventlet.Timeout(seconds)


def is_interruption(error: BaseException | None) -> bool:
    """Return whether an error is one that interrupted greenlets end with."""
    return type(error).__name__ in ("GreenletExit", "Timeout")


def _start(run: Callable[..., None], *args: Any) -> Any:
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.spawn(run, *args)
    if FRAMEWORK == "eventlet":
        import eventlet

        return eventlet.spawn(run, *args)
    thread = threading.Thread(target=run, args=args, daemon=True)
    thread.start()
    return thread


def results(tasks: Iterable[Task[T]], timeout: float = 60) -> list[T]:
    """Wait for all tasks, and return their results."""
    return [task.result(timeout) for task in list(tasks)]


def current_greenlet() -> object:
    """Return the current greenlet; None in a thread without a framework."""
    if FRAMEWORK == "threads":
        return None
    import greenlet

    return greenlet.getcurrent()
