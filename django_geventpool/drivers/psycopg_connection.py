"""The pool's kind of psycopg 3 connection.

psycopg 3 chooses how to wait when it is imported, for the whole process: for gevent only if that has patched before,
for eventlet never. So the pool's connections do their own waiting, as the active framework does it.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeVar

import psycopg
from psycopg import Cursor, IsolationLevel, Pipeline, pq
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo
from psycopg.errors import ConnectionTimeout
from psycopg.pq.abc import PGconn
from psycopg.rows import RowFactory, tuple_row
from psycopg.waiting import Ready, Wait

from ..frames import is_executing
from .cancel import start_cancelling
from .connect_call import ConnectCall
from .connection import REVOKED
from .patience import Patience
from .psycopg_cursors import WatchedStatements, watch
from .psycopg_libpq import library
from .psycopg_limited import limit
from .psycopg_restored import RestoredConnection
from .session.changes import CURSORS
from .session.state import NOTHING, REPORTED, Noted
from .waiting import POLLIN, POLLOUT, green_wait, look, wait_function
from .waiting import Wait as WaitFunction

T = TypeVar("T")

#: The events that libpq waits for while it connects.
_CONNECT_EVENTS = {pq.PollingStatus.READING: POLLIN, pq.PollingStatus.WRITING: POLLOUT}
#: The events that psycopg waits for.
_EVENTS = {Wait.R: POLLIN, Wait.W: POLLOUT, Wait.RW: POLLIN | POLLOUT}
_READY = {0: Ready.NONE, POLLIN: Ready.R, POLLOUT: Ready.W, POLLIN | POLLOUT: Ready.RW}
#: What the server reports that a holder may change, by libpq's names.
_REPORTED = [name.encode() for name in REPORTED]
#: How often to look whether somebody else has closed the connection, in seconds; as psycopg does.
_INTERVAL = 0.1


class PsycopgConnection(RestoredConnection):
    """A connection of psycopg 3 that is green, and whose end on the server can be awaited."""

    # Tracers tell the kind of database by this.
    __module__ = psycopg.Connection.__module__

    driver_error = psycopg.Error
    #: Whether a BEGIN was sent, and not yet confirmed.
    _is_beginning = False
    #: Whether a pipeline was interrupted: the server may wait for a Sync, in a transaction that libpq can't see.
    may_lack_sync = False

    def __init__(self, pgconn: PGconn, row_factory: RowFactory[Any] = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        # psycopg's own lock is a native one if psycopg was imported before monkey-patching.
        self.lock = threading.Lock()
        #: The greenlets and threads that are in ``wait``, each with its frame, which tells whether it still is: an
        #: exception out of a signal handler may keep one from being removed.
        self._users: dict[int, FrameType | None] = {}
        # Else psycopg warns of a connection that ends with the process, or was inherited by a child.
        self._pool = None

    def own(self) -> None:
        """Record that this process opens it."""
        super().own()
        self._prepared = self._statements = WatchedStatements(self.session)

    # Connecting

    @classmethod
    def open(cls, conninfo: str, call: ConnectCall[PsycopgConnection]) -> PsycopgConnection:
        """Connect to one address.

        :raises psycopg.OperationalError: if that fails.
        """
        timeout = timeout_from_conninfo(conninfo_to_dict(conninfo))
        # libpq does not apply the timeout here, but when it cancels.
        conninfo = make_conninfo(conninfo, connect_timeout=timeout)
        connection = cls(pq.PGconn.connect_start(conninfo.encode()))
        call.begin(connection)
        try:
            connection._establish(Patience(timeout, call.attempt))
        except psycopg.Error:
            call.close_failed(connection)
            raise
        return connection

    def _establish(self, patience: Patience) -> None:
        wait = wait_function()
        is_answered = False
        # A connect that can't even begin fails at the first poll.
        while (status := self.pgconn.connect_poll()) != pq.PollingStatus.OK:
            if status == pq.PollingStatus.FAILED:
                message = self.pgconn.error_message.decode("utf-8", "replace").strip()
                raise psycopg.OperationalError(f"connection failed: {message}")
            ready = patience.wait(wait, self.pgconn.socket, _CONNECT_EVENTS[pq.PollingStatus(status)])
            self._stop_in_child(wait)
            if not ready:
                self.is_unanswered = not is_answered
                raise ConnectionTimeout(patience.end)
            is_answered = is_answered or ready == POLLIN
        self.pgconn.nonblocking = 1

    # Waiting

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        """Run a generator of psycopg's, waiting for the socket as the active framework does.

        An interruption (a kill, a timeout) ends the connection, and the query on the server. Where nothing is patched,
        psycopg itself waits, and cancels on Ctrl-C.
        """
        self._check_owner()
        user = threading.get_ident()
        self._users[user] = inspect.currentframe()
        self._statements.noted = NOTHING
        self.session.uses += 1
        try:
            self._check_not_revoked()
            wait = green_wait()
            result = self._block(gen, interval, timeout) if wait is None else self._wait(wait, gen, interval, timeout)
            if (noted := self._statements.noted) is not NOTHING:
                self._confirm(noted)
            return result
        except psycopg.Error as error:
            # Without a result it is the driver's own, of something that the server may have done.
            is_whole = error.pgresult is not None and self._pipeline is None
            self.session.note_failure(self._statements.noted if is_whole else NOTHING)
            if self.has_used_server_cursors():
                self.session.changes |= CURSORS  # In a failed transaction, psycopg does not close them on the server.
            raise
        finally:
            self._users.pop(user, None)

    def _confirm(self, noted: Noted) -> None:
        if self._pipeline is not None:
            self.session.trace(noted.operations)  # The server's answer is yet to come.
            return
        status = self.pgconn.transaction_status
        self.session.confirm(noted, is_in_transaction=status != pq.TransactionStatus.IDLE)

    def _block(self, gen: PQGen[T], interval: float, timeout: float | None) -> T:
        try:
            return super().wait(gen, interval, **({} if timeout is None else {"timeout": timeout}))  # New in 3.3.
        except psycopg.Error as error:
            if self.is_revoked:
                raise psycopg.OperationalError(REVOKED) from error
            raise

    def _wait(self, wait: WaitFunction, gen: PQGen[T], interval: float, timeout: float | None) -> T:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        try:
            state = next(gen)
            while True:
                left = deadline - time.monotonic()
                state = gen.send(self._await(wait, state, max(0.0, min(left, interval))))
                if left <= 0:
                    raise psycopg.errors._WaitTimeout("wait timeout expired")  # noqa: SLF001  what notifies() expects
        except StopIteration as end:
            result: T = end.value
            return result

    def _await(self, wait: WaitFunction, state: Wait, timeout: float) -> Ready:
        """Wait until the socket is ready, or for so many seconds."""
        events = _EVENTS[state]
        fd = self.pgconn.socket
        # Nearly always there is room to write.
        ready = look(fd, events) if events & POLLOUT else 0
        if not ready:
            try:
                ready = wait(fd, events, timeout)
            except BaseException:
                self.sever()
                raise
            self._stop_in_child(wait)
            self._check_not_revoked()
        return _READY[ready]

    def _stop_in_child(self, wait: WaitFunction) -> None:
        """Wait for ever if this is a greenlet that was forked along: its original goes on in the parent."""
        while not self.is_ours():
            wait(self.pgconn.socket, POLLIN, None)

    def _check_owner(self) -> None:
        if not self.is_ours():
            raise psycopg.InterfaceError("this connection belongs to the process that this one was forked from")

    def _check_not_revoked(self) -> None:
        # On a closed connection, psycopg itself says what can still be done.
        if self.is_revoked and not self.closed:
            raise psycopg.OperationalError(REVOKED)

    # Cursors, transactions and pipelines

    def watch(self, cursor: Any) -> None:
        """Make a cursor show its statements before they are sent; else they are seen just after that."""
        watch(cursor)

    def limit(self, cursor: Any) -> None:
        """Make a cursor obey the ``statement_limit``."""
        limit(cursor)

    def remember(self, cursor: Any) -> None:
        """Remember a cursor on the server, and make it show its query, which nothing else sees."""
        super().remember(cursor)
        self.watch(cursor)
        if self.statement_limit is not None:
            limit(cursor)

    def commit(self) -> None:
        """Commit the transaction."""
        session = self.session
        session.ended += 1
        if not session.undone:
            super().commit()
            return
        # The server answers the COMMIT of a failed transaction with a rollback, and that is no error.
        is_whole = self.pgconn.transaction_status == pq.TransactionStatus.INTRANS
        if not is_whole:
            session.note_rollback()
        super().commit()
        if is_whole:
            session.confirm_commit()

    def transaction(self, *args: Any, **kwargs: Any) -> Any:
        """Return a context manager for a transaction, or a savepoint in one."""
        self.unused_since = None
        return super().transaction(*args, **kwargs)

    def pipeline(self) -> Any:
        """Return a context manager for a pipeline."""
        self.unused_since = None
        return self._watched(super().pipeline())

    def _pipeline_nolock(self) -> Any:
        return self._watched(super()._pipeline_nolock())  # type: ignore[no-untyped-call,unused-ignore]

    @contextlib.contextmanager
    def _watched(self, pipelines: AbstractContextManager[Pipeline]) -> Iterator[Pipeline]:
        # An exception at any line may leave the pipeline without a Sync.
        self.may_lack_sync = True
        with pipelines as pipeline:
            yield pipeline
        if not pipeline.level:
            self.may_lack_sync = False

    def synchronize(self) -> None:
        """Make the server end what pipelines have left open there; what it has executed then counts.

        :raises psycopg.Error: if the connection is lost.
        """
        with super().pipeline():
            pass
        self.may_lack_sync = False

    def fetch_own_text(self, sql: str) -> str:
        """Execute SQL without a cursor, as those record what they execute; return the text that it selects."""
        with self.lock:
            result = self.wait(self._exec_command(sql.encode()))
        value = None if result is None else result.get_value(0, 0)
        return (value or b"").decode(errors="replace")

    # Beginning a transaction

    def _start_query(self) -> PQGen[None]:
        return super()._start_query() if self._autocommit else self._begin()

    def _begin(self) -> PQGen[None]:
        self._is_beginning = True
        yield from super()._start_query()
        self._is_beginning = False

    def has_failed_to_begin(self) -> bool:
        """Return whether the last statement failed because the BEGIN before it did, as the connection was lost."""
        return self._is_beginning

    # Severing, cancelling, revoking, and who uses it

    def sever(self) -> None:
        """Close the connection if it is in the middle of something, and make the server stop that.

        ``_await`` calls this when an exception comes out of a wait.
        """
        if not self.is_ours() or self.pgconn.transaction_status != pq.TransactionStatus.ACTIVE:
            return
        self.keep_socket()
        self.is_severed = self.is_revoked = True
        self.start_cancelling()
        if not self.is_used_elsewhere():  # A COPY may use it, beside a query.
            self.withhold_end()
            self.pgconn.finish()

    def start_cancelling(self) -> None:
        """Have a native thread ask the server to stop what it is executing for this connection (``cancel.py``)."""
        pointer: int | None = self.pgconn.pgconn_ptr  # type: ignore[attr-defined]  # The protocol forgets it.
        if pointer is None:
            return
        self._cancelling = start_cancelling(library(), pointer)
        if self._cancelling is None:
            with contextlib.suppress(psycopg.Error):
                self.pgconn.get_cancel().cancel()  # Blocks all greenlets, for a moment if the server answers.

    def revoke(self) -> bool:
        """Stop whoever is in the middle of using the connection; False if that fails."""
        if not super().revoke():
            return False
        self.sever()  # A query may have been begun and left, such as a stream.
        return True

    def reported(self, name: str) -> str | None:
        """Return the last value that the server has reported of a parameter; None if it doesn't report that one."""
        value = self.pgconn.parameter_status(name.encode())
        return None if value is None else value.decode()

    def server_pid(self) -> int:
        """Return the id of the server's process, as the server has told it at the beginning."""
        return self.pgconn.backend_pid

    def is_used_elsewhere(self) -> bool:
        """Return whether another greenlet or thread is in the middle of something on this connection."""
        if not self._users:
            return False
        me = threading.get_ident()
        return any(
            user != me and frame is not None and is_executing(frame) for user, frame in list(self._users.items())
        )

    # Between two holders

    def is_busy(self) -> bool:
        """Return whether somebody is in the middle of something that can't be ended from outside."""
        return (
            self.lock.locked()
            or self._num_transactions > 0
            or self._pipeline is not None
            or self.pgconn.pipeline_status != pq.PipelineStatus.OFF
            or self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE
        )

    def has_transaction(self) -> bool:
        """Return whether there is a transaction to be rolled back, or a two-phase one, which can't be."""
        return self.pgconn.transaction_status != pq.TransactionStatus.IDLE or self._tpc is not None

    def _abandon(self, cursor: Any) -> None:
        Cursor.close(cursor)

    def _report(self) -> tuple[bytes | None, ...]:
        return tuple(map(self.pgconn.parameter_status, _REPORTED))

    @property
    def isolation_level(self) -> IsolationLevel | None:
        """The isolation level of transactions, None for the server's default."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, level: IsolationLevel | None) -> None:
        # Django sets it at each checkout.
        if level != self._isolation_level:
            self._set_isolation_level(level)
