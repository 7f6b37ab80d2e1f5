"""Waiting for a socket as the active framework does it, so that other greenlets go on."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from select import POLLIN, POLLOUT
from typing import Any

from .. import green

__all__ = ["POLLIN", "POLLOUT", "Wait", "green_wait", "look", "wait_function"]

#: Waits until a file descriptor is ready for one of these events, for so many seconds at the most. Returns those that
#: it is ready for, 0 when the time is up.
Wait = Callable[[int, int, "float | None"], int]

#: eventlet waits for one event of a file descriptor at a time; how long before it looks at the other (seconds).
_SLICE = 0.01


class _TimeUp(Exception):
    """A wait took longer than it may."""


def look(fd: int, events: int) -> int:
    """Return which events a file descriptor is ready for now; all of them if it is broken."""
    return _poll(fd, events, 0)


def green_wait() -> Wait | None:
    """Return the wait function of the active framework; None where nothing is patched."""
    framework = green.active()
    if framework == "gevent":
        return _gevent_wait()
    return _eventlet_wait() if framework == "eventlet" else None


def wait_function() -> Wait:
    """Return the wait function of the active framework, or one that blocks its thread where nothing is patched."""
    return green_wait() or _poll


def _poll(fd: int, events: int, timeout: float | None) -> int:
    poller = green.poll_type()()
    poller.register(fd, events)
    answers = poller.poll(None if timeout is None else math.ceil(timeout * 1000))
    return (answers[0][1] & events or events) if answers else 0


@functools.cache
def _gevent_wait() -> Wait:
    from gevent import socket

    waits: dict[int, Callable[..., Any]] = {
        POLLIN: socket.wait_read,
        POLLOUT: socket.wait_write,
        POLLIN | POLLOUT: socket.wait_readwrite,
    }

    def wait(fd: int, events: int, timeout: float | None) -> int:
        try:
            waits[events](fd, timeout, _TimeUp)
        except _TimeUp:
            return 0
        return events if events in (POLLIN, POLLOUT) else look(fd, events)

    return wait


@functools.cache
def _eventlet_wait() -> Wait:
    from eventlet.hubs import trampoline

    def wait_for_one(fd: int, events: int, timeout: float | None) -> int:
        try:
            trampoline(fd, events == POLLIN, events == POLLOUT, timeout, _TimeUp)  # type: ignore[no-untyped-call]
        except _TimeUp:
            return 0
        return events

    def wait(fd: int, events: int, timeout: float | None) -> int:
        if events in (POLLIN, POLLOUT):
            return wait_for_one(fd, events, timeout)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not (ready := look(fd, events)) and (left := deadline - time.monotonic()) > 0:
            wait_for_one(fd, POLLOUT, min(left, _SLICE))
        return ready

    return wait
