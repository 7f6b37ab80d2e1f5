"""The pool's kind of psycopg2 connection."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

from .. import process
from .cancel import start_cancelling
from .connect_call import current_connect_call
from .connection import PooledConnection
from .libpq import find_libpq
from .patience import Patience
from .psycopg2_cursors import WatchedCursor, WatchedServerCursor, watched, watched_on_server
from .session.changes import IDENTITY
from .session.state import REPORTED

_isolation_level: Any = extensions.connection.isolation_level
_make_cursor: Any = extensions.connection.cursor
_autocommit: Any = extensions.connection.autocommit

#: jsonb and jsonb[], whose typecasters each wrapper of Django's sets when it meets a connection.
_SET_BY_DJANGO = frozenset((3802, 3807))
#: What libpq says where it waits by itself.
_TIMED_OUT = "failed: timeout expired"


class Psycopg2Connection(PooledConnection, extensions.connection):
    """A connection of psycopg2 whose end on the server can be awaited."""

    # Tracers tell the kind of database by this.
    __module__ = extensions.connection.__module__

    driver_error = psycopg2.Error
    #: How long it waits for the answers to its connect; None if it isn't the pool's.
    patience: Patience | None = None
    #: Whether it is of a user's class that makes cursors in its own way.
    _chooses_cursors: bool = False
    #: The cursor class that the connection was opened with, and what is derived from it.
    _usual: tuple[Any, Any] = (object(), None)
    #: How often the connection had been used when a COPY was left in its middle.
    _copy_was_left_at: int | None = None
    #: What the server had reported when that was read last, and how often the connection had been used.
    _read: tuple[str | None, ...] = ()
    _read_after: int | None = None
    #: What the connection had when it was ready for use: the cursor class, and the typecasters.
    _opened: tuple[Any, dict[int, Any], dict[int, Any], tuple[int, ...]]

    def __init__(self, dsn: str, *args: Any, **kwargs: Any) -> None:
        call = current_connect_call()
        if call is None:
            self.own()  # Another like this one, as tracers make to have queries explained.
            super().__init__(dsn, *args, **kwargs)
            return
        call.begin(self)
        self.patience = Patience(call.timeout, call.attempt)
        try:
            super().__init__(dsn, *args, **kwargs)
        except psycopg2.Error as error:
            if _TIMED_OUT in str(error):
                self.is_unanswered = True
            call.close_failed(self)
            raise

    @property
    def isolation_level(self) -> int | None:
        """The isolation level of transactions, None for the server's default."""
        level: int | None = _isolation_level.__get__(self)
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | bytes | int | None) -> None:
        # Django sets it at each checkout; psycopg2 would ask the server each time.
        if level != self.isolation_level:
            _isolation_level.__set__(self, level)

    def sever(self) -> None:
        """Stop what the server is executing for this connection, which psycopg2 is about to close.

        psycopg2's wait callback (``psycopg2_green.py``) calls this when an exception comes out of a wait.
        """
        if not self.is_ours():
            return
        self.keep_socket()
        if not self.is_used_elsewhere():
            return  # There is no session yet, or none any more: nothing that could be interrupted.
        self.is_severed = True
        if not self.is_revoked:  # Else it is cancelled already.
            self.start_cancelling()
        self.withhold_end()

    def start_cancelling(self) -> None:
        """Have a native thread ask the server to stop what it is executing for this connection (``cancel.py``)."""
        pointer = self.pgconn_ptr
        if pointer is None:
            return
        self._cancelling = start_cancelling(_psycopg.__file__, pointer)
        if self._cancelling is None:
            self.cancel()  # Blocks all greenlets, for a moment if the server answers.

    def _descriptor(self) -> int:
        """Return the file descriptor, of a failed connect too: psycopg2 doesn't give that, but libpq has it still."""
        pointer, libpq = self.pgconn_ptr, find_libpq(_psycopg.__file__)
        return self.fileno() if not self.closed or pointer is None or libpq is None else libpq.socket(pointer)

    def reported(self, name: str) -> str | None:
        """Return the last value that the server has reported of a parameter; None if it doesn't report that one."""
        return self.get_parameter_status(name)

    def server_pid(self) -> int:
        """Return the id of the server's process, as the server has told it at the beginning."""
        return self.get_backend_pid()

    def is_used_elsewhere(self) -> bool:
        """Return whether another greenlet or thread is in the middle of a query, and has psycopg2's lock.

        With psycopg2, only somebody who waits for the server is in the middle of a query, or has left a COPY.
        """
        return self.is_active() and not self._has_left_copy()

    def is_active(self) -> bool:
        """Return whether the server is in the middle of a query, as far as libpq knows."""
        try:
            return self.get_transaction_status() == extensions.TRANSACTION_STATUS_ACTIVE
        except psycopg2.InterfaceError:
            return False  # Closed.

    def leave_copy(self) -> None:
        """Record that an exception, such as one of the file, has ended a COPY: if it has not ended, nobody uses it."""
        self._copy_was_left_at = self.session.uses

    def _has_left_copy(self) -> bool:
        return self._copy_was_left_at == self.session.uses

    def revoke(self) -> bool:
        """Stop whoever is in the middle of using the connection; False if that fails."""
        if self._has_left_copy() and self.is_active() and self.is_ours():
            self.start_cancelling()  # Else the server sends all that is left.
        return super().revoke()

    # Cursors

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._chooses_cursors = super(PooledConnection, cls).cursor is not extensions.connection.cursor

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor of a class that is derived from the one asked for and tells what it executes."""
        process.notice_fork()  # From now on, a child can't reach its parent's session.
        self.unused_since = None
        usual, derived = self._usual
        if self.cursor_factory is usual and not args and not kwargs:
            cursor = _make_cursor(self, None, derived)
            self.keep_track_of(cursor)
            return cursor
        self.session.uses += 1  # What this one executes may not be seen.
        make = super().cursor if self._chooses_cursors else self._derive_cursor
        cursor = make(*args, **kwargs)
        if not isinstance(cursor, WatchedCursor):
            self.session.note_unknown()  # It was made in the class's own way, or by a factory that is no class.
        return cursor

    def _derive_cursor(self, name: str | None = None, cursor_factory: Any = None, *args: Any, **kwargs: Any) -> Any:
        default: Any = self.cursor_factory
        factory = cursor_factory or default or extensions.cursor
        if isinstance(factory, type):
            factory = watched(factory) if name is None else watched_on_server(factory)
        return super().cursor(name, factory, *args, **kwargs)

    def _abandon(self, cursor: Any) -> None:
        if isinstance(cursor, WatchedServerCursor):
            cursor.is_gone = True
        else:
            cursor.close()

    # Between two holders

    def record_as_opened(self) -> None:
        """Record the present state of the session, in which each holder is to get it."""
        super().record_as_opened()
        factory = self.cursor_factory
        self._opened = (factory, dict(self.string_types), dict(self.binary_types), self._typecasters())
        if isinstance(factory, type) and not self._chooses_cursors:
            self._usual = (factory, watched(factory))

    def _report(self) -> tuple[str | None, ...]:
        # A release asks twice, and psycopg2 decodes the server's reports each time.
        uses = self.session.uses
        if self._read_after != uses:
            self._read = tuple(map(self.get_parameter_status, REPORTED))
            self._read_after = uses
        return self._read

    def restore(self) -> bool:
        """Put back what was changed on the connection object; True if that is more than what Django changes."""
        factory, string_types, binary_types, typecasters = self._opened
        if self.cursor_factory is factory and self._typecasters() == typecasters:
            return False
        is_changed = self.cursor_factory is not factory or any(
            types.get(oid) is not others.get(oid)
            for types, others in ((self.string_types, string_types), (self.binary_types, binary_types))
            for oid in types.keys() | others.keys()
            if oid not in _SET_BY_DJANGO
        )
        self.cursor_factory = factory
        _replace(self.string_types, string_types)
        _replace(self.binary_types, binary_types)
        return is_changed

    def _typecasters(self) -> tuple[int, ...]:
        """Return what changes with any typecaster: the types that have one, and the identities of these."""
        # By identity: to psycopg2, two for the same type are equal, whatever they do.
        string, binary = self.string_types, self.binary_types
        return (*string, *map(id, string.values()), *binary, *map(id, binary.values()))

    def forget_news(self) -> None:
        """Forget the notices and notifications that were received: they were for the last holder."""
        if self.notices or type(self.notices) is not list:
            self.notices = []
        if self.notifies or type(self.notifies) is not list:
            self.notifies = []

    def set_client_encoding(self, *args: Any) -> None:
        """Set the client encoding, here and on the server."""
        self.session.uses += 1
        super().set_client_encoding(*args)

    def set_isolation_level(self, *args: Any) -> None:
        """Set the isolation level, which rolls back."""
        self.session.note_rollback()
        super().set_isolation_level(*args)

    def tpc_rollback(self, *args: Any) -> None:
        """Roll a two-phase transaction back."""
        self.session.note_rollback()
        super().tpc_rollback(*args)

    def reset(self) -> None:
        """Roll back, and set the session to its defaults."""
        self.session.uses += 1
        self.session.note_rollback()
        self.session.changes |= IDENTITY  # A role of the pool's is gone then, too.
        super().reset()

    def has_failed_to_begin(self) -> bool:
        """Return whether the last statement failed because the BEGIN before it did, as the connection was lost."""
        return not self.autocommit and self.status == extensions.STATUS_READY

    # Under gevent and eventlet, a greenlet that asks for psycopg2's lock while another has it blocks them all for ever

    def commit(self) -> None:
        """Commit the transaction."""
        self._check_lock()
        session = self.session
        session.uses += 1
        session.ended += 1
        if not session.undone:
            super().commit()
            return
        # The server answers the COMMIT of a failed transaction with a rollback, and that is no error.
        is_whole = self.get_transaction_status() == extensions.TRANSACTION_STATUS_INTRANS
        if not is_whole:
            session.note_rollback()
        try:
            super().commit()
        except psycopg2.Error:
            session.note_rollback()  # A deferred constraint has failed.
            raise
        if is_whole:
            session.confirm_commit()

    def rollback(self) -> None:
        """Roll the transaction back."""
        self._check_lock()
        self.session.uses += 1
        self.session.ended += 1
        self.session.note_rollback()
        super().rollback()  # type: ignore[safe-super]

    @property
    def autocommit(self) -> bool:
        """Whether each query is a transaction of its own."""
        is_on: bool = _autocommit.__get__(self)
        return is_on

    @autocommit.setter
    def autocommit(self, is_on: bool) -> None:
        self._check_lock()
        _autocommit.__set__(self, is_on)

    def _check_lock(self) -> None:
        process.notice_fork()
        if self.is_used_elsewhere() and extensions.get_wait_callback() is not None:
            raise psycopg2.ProgrammingError("another greenlet is in the middle of a query on this connection")


def _replace(types: dict[int, Any], others: dict[int, Any]) -> None:
    types.clear()
    types.update(others)
