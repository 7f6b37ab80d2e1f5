"""The exceptions that tests throw into waiting code, or out of a signal handler."""

from __future__ import annotations

from collections.abc import Callable

from .tasks import FRAMEWORK


class SoftLimit(Exception):
    """Stands for billiard's SoftTimeLimitExceeded, which a signal handler raises anywhere."""


class TooSlow(Exception):
    """A user's own exception, given to the framework's Timeout."""


class Stalled(TimeoutError):
    """A user's own exception that looks like a socket's timeout."""


class Unplugged(OSError):
    """A user's own exception that looks like a broken connection."""


def kinds_of_errors() -> dict[str, Callable[[], BaseException]]:
    """Return functions that make an exception of each kind, by the kind's name."""
    kinds: dict[str, Callable[[], BaseException]] = {"TooSlow": TooSlow, "Stalled": Stalled, "Unplugged": Unplugged}
    if FRAMEWORK == "threads":
        return kinds
    import greenlet

    if FRAMEWORK == "gevent":
        import gevent

        return {"GreenletExit": greenlet.GreenletExit, "Timeout": gevent.Timeout, **kinds}
    import eventlet

    return {"GreenletExit": greenlet.GreenletExit, "Timeout": eventlet.Timeout, **kinds}


def came_out(thrown: BaseException, error: BaseException | None) -> bool:
    """Return whether the exception that came out is the one that was thrown."""
    return error is thrown


def is_replaced(thrown: BaseException, error: BaseException | None) -> bool:
    """Return whether another error came out, raised while the thrown one was being handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if error is thrown:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
