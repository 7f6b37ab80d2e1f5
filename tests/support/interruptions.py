"""The exceptions of others, as they come out of waits and I/O: of the framework, and of users' own timeouts."""

from __future__ import annotations

from .tasks import FRAMEWORK


class TooSlowError(Exception):
    """What a user's timeout raises."""


def interruptions() -> list[BaseException]:
    """One of each kind."""
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
    """One that ends a greenlet or thread without a trace."""
    return interruptions()[0]
