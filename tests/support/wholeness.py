"""Checks that a pool is whole after something was done to it."""

from __future__ import annotations

import os
import time
from typing import Any

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool

from .database import Database
from .drivers import DRIVER
from .observer import Observer
from .tasks import Task

#: How long a pool may take to be whole again, in seconds: on this network nothing hangs.
SETTLED_WITHIN = float(os.environ.get("WHOLE_WITHIN", "5"))
#: How late the housekeeper may tell a waiter that its time is over, in seconds: on a slow machine.
KEPT_WITHIN = SETTLED_WITHIN

#: Asks for everything that must be as in a new session.
_ASK = (
    "select pg_backend_pid(), %s::int, (select count(*)::int from pg_cursors),"
    " pg_current_xact_id_if_assigned() is null and now() = statement_timestamp(),"
    " current_user = session_user, (select count(*)::int from pg_listening_channels())"
)


class NotWholeError(AssertionError):
    """The pool isn't whole; the message says why."""


def check_whole(database: Database, observer: Observer, settled_within: float = SETTLED_WITHIN) -> None:
    """Check that a pool without holders is as it should be.

    The lock is free; no slot stays in use, connecting or closing; all MAX_CONNS can be lent at once, each clean and
    with right answers; the housekeeper works; the server has no more sessions than the pool says, all of them idle.

    :raises NotWholeError: with what is wrong, and the pool's numbers.
    """
    task = Task(_check, database, observer, settled_within)
    try:
        task.wait(settled_within + KEPT_WITHIN + 10)
    except AssertionError:
        raise NotWholeError("the pool does not answer: its lock is taken, or a connect hangs") from None
    if isinstance(task.error, NotWholeError):
        raise task.error
    if task.error is not None:
        raise NotWholeError(f"{task.error!r}: {_show(database)}") from task.error


def _check(database: Database, observer: Observer, settled_within: float) -> None:
    pool = database.pool
    await_quiet(pool, settled_within)
    held: list[Any] = []
    try:
        limit = pool.stats().limit  # The program may have changed it.
        while len(held) < limit:
            held.append(_take(pool, settled_within, f"only {len(held)} of {limit} can be lent"))
        pids = {_check_clean(connection, number) for number, connection in enumerate(held)}
        if len(pids) != limit:
            raise NotWholeError(f"a connection was lent twice: {pool}")
        _check_housekeeper(pool)
    finally:
        for connection in held:
            pool.putconn(connection)
    await_quiet(pool, settled_within)
    _check_server(database, observer, settled_within)


def await_quiet(pool: Pool, within: float) -> None:
    """Wait until no connection is held or waited for.

    :raises NotWholeError: if that takes longer than ``within`` seconds.
    """
    deadline = time.monotonic() + within
    pause = 0.0005
    while True:
        stats = pool.stats()
        if stats.in_use == stats.waiting == stats.connecting == stats.closing == 0:
            return
        if time.monotonic() > deadline:
            raise NotWholeError(f"still not quiet after {within} s: {pool}")
        time.sleep(pause)
        pause = min(0.02, 2 * pause)


def _take(pool: Pool, within: float, problem: str) -> Any:
    try:
        return pool.getconn(timeout=within)
    except PoolTimeout as error:
        raise NotWholeError(f"{problem}: {pool}") from error


def _check_clean(connection: Any, number: int) -> int:
    """Check a connection that was just lent; return the process id of its session."""
    if not connection.autocommit:
        raise NotWholeError("a connection was lent with autocommit off")
    status = connection.get_transaction_status() if DRIVER == "psycopg2" else connection.pgconn.transaction_status
    if status != 0:
        raise NotWholeError(f"a connection was lent in a transaction, status {status}")
    with connection.cursor() as cursor:
        cursor.execute(_ASK, [number])
        pid, answer, cursors, is_new, is_own_role, channels = cursor.fetchone()
    if answer != number:
        raise NotWholeError(f"asked for {number}, got {answer}")
    if cursors:
        raise NotWholeError(f"a connection was lent with {cursors} open cursors")
    if not is_new or not is_own_role or channels:
        raise NotWholeError("a connection was lent with a transaction, a role or channels of somebody else")
    return int(pid)


def _check_housekeeper(pool: Pool) -> None:
    """Check that a waiter at a full pool is told in time that its time is over."""
    task: Task[Any] = Task(pool.getconn, 0.002)
    try:
        task.wait(KEPT_WITHIN)
    except AssertionError:
        raise NotWholeError(f"the housekeeper doesn't tell who waits that its time is over: {pool}") from None
    if not isinstance(task.error, PoolTimeout):
        raise NotWholeError(f"lent one more than MAX_CONNS, or failed with {task.error!r}: {pool}")


def _check_server(database: Database, observer: Observer, within: float) -> None:
    """Check that the server has no more sessions than the pool has connections, with no query or transaction open."""
    deadline = time.monotonic() + within
    while True:
        sight = observer.look(database.role)
        size = database.stats().size
        if sight.count() <= size and not sight.busy():
            break
        if time.monotonic() > deadline:
            raise NotWholeError(f"the server has {sight.sessions}, the pool {size}: {database.pool}")
        time.sleep(0.01)
    if sight.most > database.limit:
        raise NotWholeError(f"the server had {sight.most} sessions at the same time: {database.pool}")


def _show(database: Database) -> str:
    """Return the pool's numbers as text, if it answers."""
    task = Task(lambda: repr(database.pool))
    try:
        return task.result(2)
    except BaseException as error:  # noqa: BLE001  shown in the message
        return f"a pool that does not answer ({error!r})"
