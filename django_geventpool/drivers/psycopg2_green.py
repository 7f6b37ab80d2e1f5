"""psycopg2 under gevent and eventlet: the wait callback.

psycopg2 has one for the whole process. When an exception leaves it (a kill, a timeout), psycopg2 closes the
connection at once, while its query goes on on the server. So the callback severs the connection first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg2
from psycopg2 import extensions

from .. import green, process
from .connection import REVOKED
from .psycopg2_connection import Psycopg2Connection
from .waiting import POLLIN, POLLOUT, Wait, wait_function

logger = logging.getLogger("geventpool.psycopg2")

WaitCallback = Callable[[extensions.connection], None]


def patch() -> None:
    """Set the wait callback of the active framework, unless it is set.

    One that was set before (psycogreen's ``patch_psycopg``) is replaced: it lets the queries of killed tasks go on. For
    connections that are not a pool's, psycogreen's is still called.
    """
    callback = extensions.get_wait_callback()
    if getattr(callback, "__module__", None) == __name__:
        return
    framework = green.active()
    extensions.set_wait_callback(_make_callback(framework))
    logger.info("psycopg2 is green now, under %s", framework)


def _make_callback(framework: green.Framework) -> WaitCallback:
    psycogreen_wait: WaitCallback
    if framework == "gevent":
        from psycogreen.gevent import gevent_wait_callback as psycogreen_wait
    else:
        from psycogreen.eventlet import eventlet_wait_callback as psycogreen_wait
    wait = wait_function()

    def wait_callback(connection: extensions.connection) -> None:
        if not isinstance(connection, Psycopg2Connection):
            psycogreen_wait(connection)
            return
        try:
            _complete(connection, wait)
        except BaseException:
            connection.sever()
            raise

    return wait_callback


def _complete(connection: Psycopg2Connection, wait: Wait) -> None:
    """Wait until psycopg2 has completed what it is doing."""
    patience = connection.patience if connection.status == extensions.STATUS_SETUP else None
    _check(connection)
    is_answered = False
    while (state := connection.poll()) != extensions.POLL_OK:
        events = POLLOUT if state == extensions.POLL_WRITE else POLLIN
        if patience is None:
            wait(connection.fileno(), events, None)
        elif patience.wait(wait, connection.fileno(), events):
            is_answered = is_answered or events == POLLIN
        else:
            connection.is_unanswered = not is_answered
            raise psycopg2.OperationalError(patience.end)
        _check(connection)


def _check(connection: Psycopg2Connection) -> None:
    if not process.is_current(connection.process):
        raise psycopg2.InterfaceError("this connection belongs to the process that this one was forked from")
    if connection.is_revoked:
        raise psycopg2.OperationalError(REVOKED)
