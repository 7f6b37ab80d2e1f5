"""The exceptions of others that come out of waits and I/O: the framework's, and those of users' timeouts."""

from __future__ import annotations

from .tasks import FRAMEWORK


class TooSlowError(Exception):
    """The exception of a user's timeout."""


def interruptions() -> list[BaseException]:
    """Return an exception of each kind."""
    return [*_of_the_framework(), TooSlowError("a user's own"), TimeoutError("a user's"), OSError("a user's")]


def _of_the_framework() -> list[BaseException]:
    if FRAMEWORK == "threads":
        return [SystemExit("asked to end"), KeyboardInterrupt()]
    import greenlet

    if FRAMEWORK == "gevent":
        import gevent

        return [greenlet.GreenletExit(), gevent.Timeout(), SystemExit("asked to end")]
    import eventlet

    return [greenlet.GreenletExit(), eventlet.Timeout(), SystemExit("asked to end")]


def quiet_interruption() -> BaseException:
    """Return an exception that ends a greenlet or thread without a traceback."""
    return interruptions()[0]
