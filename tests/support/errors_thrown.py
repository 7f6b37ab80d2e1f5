"""The exceptions that tests throw into code at its waits, or out of a signal handler."""

from __future__ import annotations

from collections.abc import Callable

from .tasks import FRAMEWORK


class SoftLimit(Exception):
    """Like billiard's SoftTimeLimitExceeded: it comes out of a signal handler, anywhere."""


class TooSlow(Exception):
    """A user's own, as given to a Timeout of the framework's."""


class Stalled(TimeoutError):
    """A user's own that looks like a timeout of a socket."""


class Unplugged(OSError):
    """A user's own that looks like a broken connection."""


def kinds_of_errors() -> dict[str, Callable[[], BaseException]]:
    """By name, what makes an exception of each kind that code may be hit by."""
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
    """Tell whether what came out at the end is what was thrown."""
    return error is thrown


def is_replaced(thrown: BaseException, error: BaseException | None) -> bool:
    """Tell whether what came out is another error, raised while what was thrown was on its way."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if error is thrown:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
