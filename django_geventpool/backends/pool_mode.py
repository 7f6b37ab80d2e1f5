"""How long a wrapper keeps its connection: POOL_MODE.

``give_back_if_free`` decides, whenever a cursor, a transaction or a pin ends.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import SynchronousOnlyOperation
from django.db import Error, InterfaceError
from django.db.backends.signals import connection_created

from .. import process
from ..frames import is_running
from .cursors import TrackedCursor, TrackedDebugCursor, track
from .session_policy import PINNING, SessionPolicyMixin
from .use import Use

T = TypeVar("T")


class PoolModeMixin(SessionPolicyMixin):
    """A mixin that gives the connection back as soon as POOL_MODE allows.

    In mode "session" that is when the wrapper is closed: at the end of the task or request. In mode "transaction" it is
    as soon as there is no transaction, no open cursor, no pin, nothing left in the session (SESSION_STATE), and nobody
    called ``ensure_connection`` to use the driver's connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapter.visitor = self.use = Use()
        #: How many calls of Django's are under way that may query, and must not give the connection back with that.
        self.calls_under_way = 0

    def read_settings(self) -> dict[str, Any]:
        """Read how connections are taken, and given back; return OPTIONS as they are given."""
        given = super().read_settings()
        self._per_transaction = self.has_pool and given.get("POOL_MODE") == "transaction"
        #: Whether a derived engine's own statements, on the way to a cursor, are told from those of its users.
        self._is_watched = self._per_transaction or (self.has_pool and self.is_derived)
        return given

    # Giving back

    def give_back_if_free(self) -> None:
        """Give the connection back, if the mode allows and nothing needs it any more: the one place that decides."""
        use = self.use
        if (
            self._per_transaction
            and self.connection is not None
            # As `needs_connection` tells, but without the call.
            and not (self.calls_under_way or use.cursors or use.pins or use.is_direct)
            and not self.in_atomic_block
            # A garbage collection may close another greenlet's cursor, and must not take its connection away.
            and (self._thread_ident == _thread.get_ident() or self.allow_thread_sharing)  # type: ignore[attr-defined]
            # The last, as the server may have to be asked.
            and not self._adapter.is_needed(pins=self.session_policy in PINNING)
        ):
            self._give_back()

    def _give_back(self) -> None:
        """Give the connection back, and go on with the next one as with this one.

        An engine derived from this one learns by Django's ``close`` that it must set up the next one's session.
        """
        if not self.is_derived:
            super()._close()
            return
        use, is_set_up = self.use, self.use.is_set_up
        state = self.run_on_commit, self.closed_in_transaction, self.needs_rollback
        self.calls_under_way += 1
        try:
            self.close()
        except SynchronousOnlyOperation:
            pass  # Another greenlet of this thread runs a loop of asyncio's. It goes back later.
        finally:
            self._adapter.visitor = self.use = use
            use.is_set_up = is_set_up
            self.calls_under_way -= 1
            self.run_on_commit, self.closed_in_transaction, self.needs_rollback = state

    def _close(self) -> None:
        """Give the connection back; the next one is set up afresh."""
        super()._close()
        self.use.is_set_up = False

    def pin(self) -> None:
        """Keep the connection, from the next query on, until ``unpin`` is called as often as this."""
        self.use.pins += 1

    def unpin(self) -> None:
        """Undo one ``pin``."""
        self.use.pins -= 1
        self.give_back_if_free()

    def close(self) -> None:
        """Give the connection back, whatever it is needed for; the next one is set up afresh."""
        try:
            super().close()
        finally:
            if not self.use.is_connecting or not self._is_in_connect():
                if self.connection is None:
                    self._adapter.give_back()  # Others than Django may have set it to None, or been interrupted.
                self._start_afresh()

    def close_if_unusable_or_obsolete(self) -> None:
        """Close the connection if the next request should not have it; Django calls this at both ends of each request.

        What a request has set (autocommit off, state of the session) ends with it, even if there is no connection to
        close any more, or CONN_MAX_AGE would keep one.
        """
        is_kept_for_state = self._per_transaction and not (self.calls_under_way or self.use.needs_connection)
        if (self.connection is None or is_kept_for_state) and not self.in_atomic_block:
            self.close()
        else:
            super().close_if_unusable_or_obsolete()

    def is_usable(self) -> bool:
        """Return whether the wrapper can query: between two transactions, with whichever connection is the next."""
        self.forget_if_parents()
        if self.connection is not None or not (self._per_transaction and self.use.is_set_up):
            return super().is_usable()
        try:
            with self.cursor() as cursor:
                cursor.cursor.execute("SELECT 1")  # Past execute wrappers, as Django's engine asks.
        except (Error, self.Database.Error):
            return False
        return True

    def forget_connection(self) -> None:
        """Leave the connection to the parent process, and go on as after a ``close``."""
        super().forget_connection()
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Drop whatever the connection was needed for, open cursors too, but not the pins."""
        if self.calls_under_way and not is_running(_CALLS, self):
            # An exception out of a signal handler has come before a call could be counted down.
            self.calls_under_way = 0
        self._adapter.visitor = self.use = Use(self.use.pins)

    # Taking

    def ensure_connection(self) -> None:
        """Take a connection, if there is none, and keep it until ``close``: the caller wants to use it directly."""
        if not process.is_current(self._process):  # As `forget_if_parents`, but without the call.
            self.forget_if_parents()
        use = self.use
        was_direct, use.is_direct = use.is_direct, True
        try:
            if self.is_derived:
                self._set_up_by(super().ensure_connection)
            else:
                super().ensure_connection()
        except BaseException:
            use.is_direct = was_direct
            raise

    def ensure_timezone(self) -> bool:
        """Set the time zone that Django wants; return whether it was another."""
        return self._set_up_by(super().ensure_timezone)

    def _set_up_by(self, call: Callable[[], T]) -> T:
        """Return what a function returns; all that it executes is the session's setting up."""
        self.calls_under_way += 1
        try:
            return call()
        finally:
            self.calls_under_way -= 1

    def connect(self) -> None:
        """Take a connection. Only the first sets up the wrapper's state; the others go on with it.

        :raises InterfaceError: in a finalizer that a garbage collection runs in the middle of this.
        """
        use = self.use
        if use.is_connecting and self._is_in_connect():
            raise InterfaceError(
                "a finalizer has queried while the connection that it would use was being taken: finalizers (__del__, "
                "weakref callbacks) should not query"
            )
        self.calls_under_way += 1
        use.is_connecting = True
        try:
            if use.is_set_up:
                self._go_on()
                return
            super().connect()
            if self._per_transaction:
                use.is_set_up = True
                self._adapter.know()
            else:
                self._adapter.record_set_up()
        finally:
            use.is_connecting = False
            self.calls_under_way -= 1

    def replace_connection(self) -> None:
        """Take a connection in the place of one that is lost; transactions and blocks go on as if it were the same."""
        self.connection = None
        self.calls_under_way += 1
        try:
            with self.wrap_database_errors:
                self._adapter.give_back()
                self._go_on()
            self._adapter.unused_connection = self._adapter.connection.unused_since = None
        finally:
            self.calls_under_way -= 1

    def _is_in_connect(self) -> bool:
        """Return whether this is called in the middle of ``connect``, which has begun and has no connection yet."""
        return self.connection is None and is_running((PoolModeMixin.connect.__code__,), self)

    def _go_on(self) -> None:
        try:
            if "get_new_connection" in self.overridden:
                self.connection = self.get_new_connection(self.get_connection_params())
            else:
                connection = self._adapter.getconn()
                self.meet_connection()
                self.connection = connection
            self.health_check_done = True
            if self.connection.autocommit != self.autocommit:
                self.connection.autocommit = self.autocommit
            if not self._adapter.resume():
                (self.init_connection_state if self.is_derived else self.set_up_session)()
                connection_created.send(sender=self.__class__, connection=self)
                self.keep_settings()
                self._adapter.know()
            self.detach_holder_if_shared()
        except BaseException:
            try:
                self._give_back()
            finally:
                self.connection = None
                self._adapter.give_back()
            raise

    # Cursors and transactions, which take a connection and don't keep it

    def cursor(self) -> Any:
        """Make a cursor, on a connection that is taken if there is none."""
        # An engine derived from this one may do more on the way to a cursor.
        make = super().cursor
        return self._in_passing(make) if self._is_watched and self.is_derived else make()

    def chunked_cursor(self) -> Any:
        """Make a cursor, on the server if the settings allow."""
        make = super().chunked_cursor
        return self._in_passing(make) if self._is_watched and self.is_derived else make()

    def _cursor(self, name: str | None = None) -> Any:
        make = super()._cursor  # type: ignore[misc]
        return self._in_passing(make, name) if self._is_watched else make(name)

    def _in_passing(self, make_cursor: Callable[..., Any], *args: Any) -> Any:
        """Make a cursor, which keeps the connection while it is open."""
        use = self.use
        was_direct, count = use.is_direct, use.cursors
        cursor = None
        self.calls_under_way += 1
        try:
            cursor = make_cursor(*args)
            is_counted = self.use.cursors > (count if self.use is use else 0)
        finally:
            self.calls_under_way -= 1
            self._restore_direct(use, was_direct)
            if cursor is None:
                self.give_back_if_free()
        if not is_counted:
            self.use.is_direct = True  # The end of this one will not be noticed.
        return cursor

    def _restore_direct(self, use: Use, was_direct: bool) -> None:
        """Undo what Django's own calls of ``ensure_connection`` have recorded.

        :param use: what it was then. A health check of Django's may have closed the connection since, which ends it.
        """
        self.use.is_direct = was_direct and self.use is use

    def _prepare_cursor(self, cursor: Any) -> Any:
        prepared = super()._prepare_cursor(cursor)  # type: ignore[misc]
        if self._per_transaction and self.is_derived:
            track(prepared, self)  # It may be a cursor of the engine's own class.
        return prepared

    def make_cursor(self, cursor: Any) -> Any:
        """Wrap the driver's cursor."""
        return TrackedCursor(cursor, self) if self._per_transaction else super().make_cursor(cursor)

    def make_debug_cursor(self, cursor: Any) -> Any:
        """Wrap the driver's cursor, and log what it executes."""
        return TrackedDebugCursor(cursor, self) if self._per_transaction else super().make_debug_cursor(cursor)

    def get_autocommit(self) -> bool:
        """Return the autocommit state, without taking a connection."""
        if not self._per_transaction:
            return super().get_autocommit()
        return self.autocommit if self.use.is_set_up else self.settings_dict["AUTOCOMMIT"]

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Set the autocommit state, as ``atomic`` does at both ends of an outermost block."""
        if self.use.is_connecting and autocommit and self._is_as_lent():
            self.autocommit = True  # Django does so with each connection. Here it is on, and all else was just set.
            return
        use = self.use
        was_direct = use.is_direct
        self.calls_under_way += (
            not autocommit
        )  # This may take a connection, and a derived engine set it up in its own way.
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
            # Only atomic sets that flag, which is there for SQLite.
            self.use.is_in_outermost_atomic = not autocommit and force_begin_transaction_with_broken_autocommit
            done = autocommit
        except BaseException:
            done = True
            raise
        finally:
            self._restore_direct(use, was_direct)
            self.calls_under_way -= not autocommit
            if done:
                self.give_back_if_free()

    def _is_as_lent(self) -> bool:
        """Return whether autocommit is on, and to set it would have no other effect."""
        return (
            self.has_pool
            and not self.is_derived
            and not self.run_commit_hooks_on_set_autocommit_on
            and self.connection is not None
            and self.connection.autocommit
        )

    def _has_lost_connection(self) -> bool:
        # An interruption before a commit or rollback has begun leaves the transaction open.
        return super()._has_lost_connection() or (
            self.use.is_in_outermost_atomic and not self.in_atomic_block and self._adapter.is_in_transaction()
        )

    def commit(self) -> None:
        """Commit the transaction."""
        self.forget_if_parents()
        super().commit()
        self._end_of_manual_transaction()

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.forget_if_parents()
        super().rollback()
        self._end_of_manual_transaction()

    def _end_of_manual_transaction(self) -> None:
        if not self.use.is_in_outermost_atomic:  # Else atomic sets autocommit on next.
            self.give_back_if_free()


#: The methods that count ``calls_under_way``.
_CALLS = tuple(
    method.__code__
    for method in (
        PoolModeMixin._give_back,  # noqa: SLF001
        PoolModeMixin._set_up_by,  # noqa: SLF001
        PoolModeMixin.connect,
        PoolModeMixin.replace_connection,
        PoolModeMixin._in_passing,  # noqa: SLF001
        PoolModeMixin.set_autocommit,
    )
)
