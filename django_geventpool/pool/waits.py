"""Reports of waits for connections, to whoever wants to know of each. Checkouts that don't wait report nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from .slot import Request

logger = logging.getLogger("geventpool.pool")


@dataclass(frozen=True)
class Wait:
    """A wait for a connection that is over."""

    #: The pool's alias.
    pool: str
    #: How long it took, in seconds, with the connecting where that was part of it.
    seconds: float
    #: What ended it without a connection; None if there is one.
    error: BaseException | None


#: Called with each wait, in the greenlet or thread that has waited. Their errors are logged, and go no further.
observers: list[Callable[[Wait], object]] = []


def report(pool: str, request: Request, error: BaseException | None = None) -> None:
    """Report the wait of a request, once.

    :param error: what ended the request, if it has no connection.
    """
    began, request.waited_from = request.waited_from, None
    if began is None or not observers:
        return
    wait = Wait(pool, time.monotonic() - began, error)
    for observe in tuple(observers):
        try:
            observe(wait)
        except Exception:  # noqa: PERF203  it is somebody else's code
            logger.exception('Pool "%s": a wait could not be reported', pool)
