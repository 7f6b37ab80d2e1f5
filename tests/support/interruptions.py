"""The exceptions that no ``except Exception`` sees, as they come out of waits and I/O."""

from __future__ import annotations

from .tasks import FRAMEWORK


def interruptions() -> list[BaseException]:
    """One of each kind that the framework knows."""
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
