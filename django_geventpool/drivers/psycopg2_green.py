"""psycopg2 under gevent and eventlet: the wait callback.

psycopg2 has one for the whole process. When an exception leaves it (a kill, a timeout), psycopg2 closes the
connection at once, while its query goes on on the server. So the callback severs the connection first.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import psycopg2
from psycopg2 import extensions

from .. import green
from .psycopg2_connection import Connection

logger = logging.getLogger("geventpool.psycopg2")

#: Waits until a file descriptor is readable, or writable, for so many seconds at the most.
Wait = Callable[[int, bool, "float | None"], None]
WaitCallback = Callable[[extensions.connection], None]


class _TimeUp(Exception):
    """A wait took longer than it may."""


def patch() -> None:
    """Set the wait callback of the active framework, unless it is set.

    One that was set before (psycogreen's ``patch_psycopg``) is replaced: it lets the queries of killed tasks go on.
    Connections that are not a pool's are waited for by psycogreen as ever.
    """
    callback = extensions.get_wait_callback()
    if getattr(callback, "__module__", None) == __name__:
        return
    framework = green.active()
    make = _gevent_callback if framework == "gevent" else _eventlet_callback
    extensions.set_wait_callback(make())
    logger.info("psycopg2 is green now, under %s", framework)


def _gevent_callback() -> WaitCallback:
    from gevent.socket import wait_read, wait_write
    from psycogreen.gevent import gevent_wait_callback

    def wait(fd: int, write: bool, timeout: float | None) -> None:
        (wait_write if write else wait_read)(fd, timeout, _TimeUp)

    return _make_callback(wait, gevent_wait_callback)


def _eventlet_callback() -> WaitCallback:
    from eventlet.hubs import trampoline
    from psycogreen.eventlet import eventlet_wait_callback

    def wait(fd: int, write: bool, timeout: float | None) -> None:
        trampoline(fd, not write, write, timeout, _TimeUp)  # type: ignore[no-untyped-call]

    return _make_callback(wait, eventlet_wait_callback)


def _make_callback(wait: Wait, others: WaitCallback) -> WaitCallback:
    def wait_callback(connection: extensions.connection) -> None:
        if not isinstance(connection, Connection):
            others(connection)
            return
        try:
            _complete(connection, wait)
        except BaseException:
            connection.sever()
            raise

    return wait_callback


def _complete(connection: Connection, wait: Wait) -> None:
    """Wait until psycopg2 has what it waits for."""
    deadline = connection.connect_deadline if connection.status == extensions.STATUS_SETUP else None
    _check_owner(connection)
    while (state := connection.poll()) != extensions.POLL_OK:
        timeout = None if deadline is None else deadline - time.monotonic()
        try:
            if timeout is not None and timeout <= 0:
                raise _TimeUp
            wait(connection.fileno(), state == extensions.POLL_WRITE, timeout)
        except _TimeUp:
            raise psycopg2.OperationalError("connection to server failed: connect_timeout expired") from None
        _check_owner(connection)


def _check_owner(connection: Connection) -> None:
    if connection.pid != os.getpid():
        raise psycopg2.InterfaceError("this connection belongs to the process that this one was forked from")
