"""Checks of a database that is reached through another pool, such as PgBouncer."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Info
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, connections
from django.db.backends.base.base import NO_DB_ALIAS

from .. import options
from . import ids

#: How often each of two clients asks which server process it has.
_ROUNDS = 5
#: How long the second client may wait for a server connection, in seconds.
_PATIENCE = 5.0

_HINT_IN_SESSION_MODE = (
    "Keep MAX_CONNS, times the number of processes, within PgBouncer's default_pool_size: each connection has one of "
    "the server's for as long as it is open. Or connect to the server itself: this pool needs no other."
)
_HINT_IN_TRANSACTION_MODE = (
    "MAX_CONNS, times the number of processes, may be more than PgBouncer's default_pool_size: transactions wait there "
    'for their turn. Nobody has a session there, so nothing can be kept in one: SESSION_STATE "raise" refuses the '
    'statements that try to, and "warn" names them.'
)


def check_pooler(alias: str) -> Iterator[CheckMessage]:
    """Yield what to set, given that a pooler stands between this process and the server."""
    settings = connections[alias].settings_dict
    text = f'DATABASES["{alias}"]: a pooler such as PgBouncer stands between this process and the server'
    if not is_transaction_pooling(alias):
        yield Info(f"{text}. Its limits hold beside MAX_CONNS.", hint=_HINT_IN_SESSION_MODE, id=ids.POOLER)
        return
    text += ", in transaction mode"
    trouble = list(_check_transaction_mode(text, settings))
    yield from trouble or [
        Info(f"{text}. Its limits hold beside MAX_CONNS.", hint=_HINT_IN_TRANSACTION_MODE, id=ids.POOLER)
    ]


def _check_transaction_mode(text: str, settings: dict[str, Any]) -> Iterator[CheckMessage]:
    if not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield CheckWarning(
            f"{text}, in which QuerySet.iterator() fails outside of atomic: the server-side cursor that it reads from "
            "stays with a server connection that others get.",
            hint='Set "DISABLE_SERVER_SIDE_CURSORS": True beside "ENGINE": iterator() then reads all rows at once.',
            id=ids.SERVER_SIDE_CURSORS_BEHIND_POOLER,
        )
    if options.split(settings["OPTIONS"])[0].ON_RELEASE_DISCARD_ALL is True:
        yield CheckWarning(
            f"{text}, in which ON_RELEASE_DISCARD_ALL clears the session of whichever server connection is free, not "
            "that of the task.",
            hint="Set ON_RELEASE_DISCARD_ALL to False: it costs round trips and clears nothing that is the task's.",
            id=ids.DISCARD_ALL_BEHIND_POOLER,
        )
    if settings["OPTIONS"].get("assume_role"):
        yield CheckWarning(
            f'{text}, in which the role of OPTIONS["assume_role"] stays with a server connection that others get, '
            "while the queries of this process run as the role that logged in.",
            hint="Remove assume_role, and have the server set it: ALTER ROLE <login> SET role = '<role>'.",
            id=ids.ROLE_BEHIND_POOLER,
        )


def is_transaction_pooling(alias: str) -> bool:
    """Return whether a pooler passes server connections from one client to another while both stay connected.

    PgBouncer does so in the modes "transaction" and "statement", and tells its mode only to its administrators. So two
    clients ask in turn which server process they have: each with its own never sees the other's.
    """
    connection: Any = connections[alias]
    was_open = connection.connection is not None
    pids: set[int] = set()
    other_pids: set[int] = set()
    try:
        connection.ensure_connection()
        with _second_client(connection) as other:
            for _ in range(_ROUNDS):
                pids.add(_backend_pid(connection))
                other_pids.add(_backend_pid(other))
    except (DatabaseError, connection.Database.Error):
        pass  # There was no second server connection to be had: the answers so far must do.
    finally:
        if not was_open:
            connection.close()
    return max(len(pids), len(other_pids)) > 1 or bool(pids & other_pids)


def _backend_pid(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


@contextlib.contextmanager
def _second_client(connection: Any) -> Iterator[Any]:
    """Connect once more, beside the pool, which may have room for one only; it is cut off after _PATIENCE."""
    # Not by copy(): there may be settings that can't be copied, such as a function with a lock.
    wrapper = type(connection)(connection.settings_dict, alias=NO_DB_ALIAS)
    # Without the queries with which Django sets a connection up, as these would have to wait, too.
    client = wrapper.get_new_connection(wrapper.get_connection_params())
    with contextlib.closing(client), socket.socket(fileno=os.dup(client.fileno())) as duplicate:
        client.autocommit = True

        def cut_off() -> None:
            with contextlib.suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_PATIENCE, cut_off)
        timer.start()
        try:
            yield client
        finally:
            timer.cancel()
