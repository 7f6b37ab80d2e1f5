"""What the tasks do in which pools meet their faults: functions by the name that orders call them by."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import gevent
import psutil
from django.db import connection, connections, transaction
from gevent.event import Event
from gevent.os import tp_read

# After this time (seconds), what hangs for good is given up, so that the process can go on.
_LONG = 30
_CHILD_SECONDS = 5

_release = Event()


def release() -> None:
    """Let go all tasks that hold a connection."""
    global _release
    _release.set()
    _release = Event()


def query(value: int = 0, seconds: float = 0) -> int:
    """Run a query that takes a while; return its answer, which is to be ``value``."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::int, pg_sleep(%s)", [value, seconds])
        return int(cursor.fetchone()[0])


def hold() -> None:
    """Hold a connection, in a transaction, until it is to be released."""
    released = _release  # Those that the judge has seen may be let go before they know of their query's end.
    with transaction.atomic():
        query()
        released.wait(_LONG)


def work() -> None:
    """Run a query that takes a moment."""
    query(seconds=0.02)


def limited(limit: float) -> None:
    """Run a query within a time limit."""
    with gevent.Timeout(limit):
        query()


def query_and_write(seconds: float) -> None:
    """Run a query that takes a while, then write a row."""
    query(seconds=seconds)
    write()


def write() -> None:
    """Write a row."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO written VALUES (1)")


def abandon() -> None:
    """Have another greenlet run a query, which ends without a word to Django."""
    gevent.spawn(query).join(_LONG)


def drop_wrapper() -> None:
    """Run a query, and drop Django's wrapper without closing it."""
    query()
    del connections["default"]


def leave_transaction() -> None:
    """Write a row, and end in the middle of the transaction."""
    connection.set_autocommit(False)
    write()


def rows() -> int:
    """Return how many rows there are, seen from here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM written")
        return int(cursor.fetchone()[0])


def leave_state(value: int) -> None:
    """Change the session: a setting, a temporary table, a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO another_tenant, public")
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS left_over (n int)")
        cursor.execute("SELECT pg_advisory_lock(%s)", [value])


def see_state() -> list[str]:
    """Return what is to be seen of another task's changes."""
    seen = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('search_path') LIKE '%another_tenant%', to_regclass('pg_temp.left_over') IS NOT"
            " NULL, EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
        )
        for name, is_there in zip(("search_path", "table", "lock"), cursor.fetchone(), strict=True):
            if is_there:
                seen.append(name)
    return seen


def query_in_child() -> dict[str, Any]:
    """Fork; return whether the child runs its query on a connection of its parent's, or its error.

    It must run where the orders are read: in the child all other greenlets would go on, too.
    """
    ports = {one.laddr.port for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED}
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, json.dumps(_as_child(ports)).encode())
        os._exit(0)
    os.close(writer)
    try:
        with gevent.Timeout(2 * _CHILD_SECONDS, False):
            return json.loads(tp_read(reader, 10_000) or '{"error": "nothing"}')
        os.kill(child, signal.SIGKILL)
        return {"error": "hangs"}
    finally:
        os.close(reader)


def _as_child(ports: set[int]) -> dict[str, Any]:
    try:
        with gevent.Timeout(_CHILD_SECONDS), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            with socket.socket(fileno=os.dup(cursor.connection.fileno())) as link:
                is_shared = link.getsockname()[1] in ports
        connections.close_all()
    except BaseException as error:  # noqa: BLE001 (the child has no other way to tell)
        return {"error": type(error).__name__}
    return {"is_shared": is_shared}


TASKS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(query, work, hold, limited, write, query_and_write, abandon, drop_wrapper),
        *(leave_transaction, rows, leave_state, see_state),
    )
}
