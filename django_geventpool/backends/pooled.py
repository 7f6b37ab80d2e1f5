"""The mixin by which Django's PostgreSQL engines take their connections from a pool."""

from __future__ import annotations

import _thread
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql.base import psycopg_version
from django.db.backends.postgresql.psycopg_any import IsolationLevel, is_psycopg3
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property

from .. import checks, options, passwords, process
from ..drivers import patch_psycopg
from ..engines import PooledWrapper
from ..pool import Pool
from ..pool.holder import current, nobody
from ..pool.housekeeper import log_in_background
from ..registry import pools
from . import components, derived, late_patching
from .adapter import PoolAdapter
from .client import PooledClient
from .error_wrapper import ErrorWrapper
from .given_options import read_options
from .pools import make_pool, open_with
from .stock import close_past_guard, is_stock
from .versions import check_psycopg

if is_psycopg3:
    check_psycopg(psycopg_version())
else:
    import psycopg2.extras

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper as Base
else:
    Base = object

logger = logging.getLogger("geventpool.pool")

#: Connection parameters that say which database a pool is for.
_TARGET = ("service", "host", "port", "dbname", "user")

_SESSION_POLICY = options.PoolOptions.SESSION_STATE

#: The class of locals; it is another one if the process is monkey-patched later than this.
_Local = threading.local


class PooledMixin(PooledWrapper, Base):
    """A mixin for a ``DatabaseWrapper`` of Django's, before it: connections come from the alias's pool.

    Django's wrapper knows what to do with a pool (that of psycopg 3); this puts ours in its place.
    """

    client_class = PooledClient
    #: The methods of Django's that classes of other packages override.
    overridden: frozenset[str] = frozenset()
    #: Whether it is an engine of another package.
    is_derived = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        components.break_cycles(cls)
        cls.overridden = derived.overridden_by(cls)
        cls.is_derived = derived.is_derived(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapter = PoolAdapter(self)
        self._process = process.mark()
        #: Which database the pool must be for.
        self._target: tuple[Any, ...] = ()
        self.read_settings()

    def read_settings(self) -> dict[str, Any]:
        """Read how connections are taken; return OPTIONS as they are given.

        Read again before each connection, as a copy may be given other settings. Connecting refuses wrong options.
        """
        given = self.settings_dict["OPTIONS"]
        given = given if isinstance(given, dict) else {}
        #: Whether connections come from the pool. Those with which Django creates or drops databases don't.
        self.has_pool = self.alias != NO_DB_ALIAS and given.get("pool") is not False
        #: What happens to statements that leave something in the session.
        self.session_policy: options.SessionStatePolicy = given.get("SESSION_STATE", _SESSION_POLICY)
        return given

    @property
    def pool_options(self) -> options.PoolOptions:
        """The pool's options, as the settings say now.

        They are not validated before: wrappers are made as soon as models are imported, and the system checks, which
        report wrong options, run later.

        :raises UnusableDatabase: for options that can't be used, named with their alias.
        """
        return read_options(self)

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """What turns the driver's errors into Django's."""
        return ErrorWrapper(self)

    @property
    def pool(self) -> PoolAdapter | None:
        """The object that Django takes for its pool; None if connections don't come from ours."""
        return self._adapter if self.has_pool else None

    def close_pool(self) -> None:
        """Close the alias's pool, and those of other aliases that may be of the same database.

        Django calls this before it clones or drops a test database, which nothing may be connected to: not another
        alias either, such as one with TEST["MIRROR"].
        """
        pools.close(self.alias)
        name = self.settings_dict["NAME"]
        for alias, target in pools.targets().items():
            # The host may be written in several ways, and a service may stand for everything.
            if _database_of(target) in (name, None) or not name:
                pools.close(alias)

    def get_connection_params(self) -> dict[str, Any]:
        """Return what the driver is to connect with, without the pool's own options.

        :raises UnusableDatabase: for options that can't be used; nothing connects without asking here first.
        """
        read_options(self)
        parameters: dict[str, Any] = dict(super().get_connection_params())
        for name in options.NAMES.intersection(parameters):
            del parameters[name]
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection of the pool for the database that the parameters name."""
        if not self.has_pool:
            conn_params = passwords.resolve_in(self.alias, conn_params)
        self._set_target(conn_params)
        if self.has_pool and "get_new_connection" in self.overridden:
            open_with(self.pool_of_target(), conn_params)
        ask = super().get_new_connection
        if not self.has_pool or "isolation_level" in self.settings_dict["OPTIONS"] or not is_stock(ask):
            connection = ask(conn_params)
        else:
            # What else Django does to a connection, the pool has done to it when it was opened.
            self.isolation_level = IsolationLevel.READ_COMMITTED
            connection = self._adapter.getconn()
        self.meet_connection()
        return connection

    def connect(self) -> None:
        """Take a connection from the pool, and give it back if anything goes wrong with it."""
        self.read_settings()
        if not self.has_pool:
            patch_psycopg()
            super().connect()
            return
        try:
            super().connect()
            self.keep_settings()
            self.detach_holder_if_shared()
        except BaseException:
            # Killed on the way, or a receiver of connection_created failed.
            try:
                self.close()  # An engine derived from this one may override it.
            finally:
                self.connection = None
                self._adapter.give_back()
            raise

    def init_connection_state(self) -> None:
        """Set up a session that this wrapper can't rely on; receivers of ``connection_created`` come after it."""
        super().init_connection_state()
        if self.has_pool:
            self.set_up_session()

    def set_up_session(self) -> None:
        """Set up the session as Django wants it, the time zone too if the server has reported another.

        In mode "transaction", ``PoolModeMixin._go_on`` calls this for all but a wrapper's first connection.
        """
        if self.overridden & derived.CONFIGURATION:
            self._configure_connection(self.connection)  # type: ignore[attr-defined]
        elif self.timezone_name and self._adapter.time_zone() != self.timezone_name:
            # The role and all else are as at the beginning. But another time zone may have been set.
            self._configure_timezone(self.connection)  # type: ignore[attr-defined]

    def meet_connection(self) -> None:
        """Make an engine derived from this one treat a connection that others have used as a new one."""
        if self.is_derived and self._adapter.connection is not None and not self._adapter.is_known:
            derived.forget_connection(self, self._adapter.connection)

    def keep_settings(self) -> None:
        """Commit what was set for this wrapper, on the way or by a receiver, so that the first rollback keeps it.

        On a new connection, a rollback may undo it. Here it would bring the last holder's settings back.
        """
        if not self.autocommit and self.connection is not None:
            self.connection.commit()

    def detach_holder_if_shared(self) -> None:
        """Make the connection outlive the greenlet or thread that took it, if others may use this wrapper."""
        # As allow_thread_sharing tells, but without its lock.
        if self._thread_sharing_count > 0:  # type: ignore[attr-defined]
            self._adapter.reassign(nobody())

    def inc_thread_sharing(self) -> None:
        """Allow other threads to use this wrapper, and its connection to outlive the one that took it."""
        super().inc_thread_sharing()
        self._adapter.reassign(nobody())

    def dec_thread_sharing(self) -> None:
        """Undo one ``inc_thread_sharing``; after the last, the connection goes with its greenlet or thread again."""
        super().dec_thread_sharing()
        if not self.allow_thread_sharing and self._thread_ident == _thread.get_ident():  # type: ignore[attr-defined]
            self._adapter.reassign(current())

    def close(self) -> None:
        """Give the connection back, also while an event loop runs in this thread.

        Django refuses then, as closing may wait. Under gevent and eventlet the loop may be that of any greenlet, and a
        connection that isn't given back is kept from all.
        """
        self._forget_rollback_error()
        close = super().close
        if self.has_pool:
            close_past_guard(self, close)
        else:
            close()

    def _close(self) -> None:
        if not self.has_pool:
            super()._close()  # type: ignore[misc]
            return
        self.connection = None
        self._adapter.give_back()  # The driver's own errors are the pool's to deal with.

    def forget_if_parents(self) -> None:
        """Leave the connection to the parent process, if this one was forked since the wrapper was made or last asked.

        The wrappers of other greenlets and threads, and copies, aren't known when a child begins.
        """
        if not process.is_current(self._process):
            self._process = process.mark()
            if self.has_pool:  # Else it is as with Django's own engine.
                self.forget_connection()

    def forget_connection(self) -> None:
        """Leave the connection to the parent process, and go on as after a ``close``."""
        self._adapter.forget()
        try:
            self.close()  # An engine derived from this one may override it.
        finally:
            self.connection = None
            self.run_on_commit = []
            if self.in_atomic_block:
                # The block can't go on, as after a close() inside it.
                self.closed_in_transaction = True
                self.needs_rollback = True

    def validate_thread_sharing(self) -> None:
        """Raise an error if this wrapper is another thread's or greenlet's, with what to do if all share it."""
        # The usual case, without the lock under which Django asks whether others may use it.
        if self._thread_ident == _thread.get_ident():  # type: ignore[attr-defined]
            return
        try:
            super().validate_thread_sharing()
        except DatabaseError as error:
            if threading.local is _Local:
                raise
            # Django keeps wrappers in a local that it made when it was imported.
            raise DatabaseError(late_patching.explain()) from error

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """Set the autocommit state.

        ``atomic`` sets it on at the end of an outermost block, also when the connection was lost in the block. That
        must not take another connection, least of all in a greenlet that is being killed.
        """
        if autocommit and self.settings_dict["AUTOCOMMIT"] and self._has_lost_connection():
            self.close()
            self.autocommit = True
            if self.run_commit_hooks_on_set_autocommit_on:
                self.run_and_clear_commit_hooks()
                self.run_commit_hooks_on_set_autocommit_on = False
            return
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        self._forget_rollback_error()

    def _forget_rollback_error(self) -> None:
        """Forget the error for which a transaction was rolled back.

        Django keeps it. Its traceback keeps the greenlet, and that keeps the wrapper: for ever where
        ``threading.local`` is eventlet's, which garbage collections don't see through.
        """
        if not self.in_atomic_block:  # In a block it is still shown, as what has broken the transaction.
            self.rollback_exc = None

    def _has_lost_connection(self) -> bool:
        return self.has_pool and not self.in_atomic_block and (self.connection is None or bool(self.connection.closed))

    def configure(self, connection: Any) -> None:
        """Set up a connection's session, as Django does."""
        self._configure_connection(connection.lent_as)  # type: ignore[attr-defined]
        if not is_psycopg3:
            # Django does so for the first connection of each wrapper: its JSONField decodes for itself.
            psycopg2.extras.register_default_jsonb(conn_or_curs=connection, loads=_as_text)

    def create_cursor(self, name: str | None = None) -> Any:
        """Make a cursor of the driver's, which is closed at the latest when the connection goes back."""
        cursor = super().create_cursor(name)
        if name and self._makes_cursors_itself() and self._adapter.connection is not None:
            self._adapter.connection.remember(cursor)
        return cursor

    def _makes_cursors_itself(self) -> bool:
        """Return whether Django makes the cursors that are on the server itself, without asking the connection."""
        return is_psycopg3 and self.settings_dict["OPTIONS"].get("server_side_binding") is not True

    def _configure_role(self, connection: Any) -> bool:
        # Django's way takes another connection, to quote the name with. A pool of one has no other.
        role = self.settings_dict["OPTIONS"].get("assume_role")
        if not role:
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('role', %s, false)", [role])
        return True

    def obtain_pool(self) -> Pool:
        """Return the pool of this wrapper's alias and database, made when it is first asked for.

        :raises UnusableDatabase: for options that can't be used.
        """
        self._set_target(self.get_connection_params())
        return self.pool_of_target()

    def _set_target(self, parameters: dict[str, Any]) -> None:
        self._target = tuple(map(parameters.get, _TARGET))

    def pool_of_target(self) -> Pool:
        """Return the pool of this wrapper's alias, for the database that it connects to."""
        return pools.obtain(self.alias, self._target, functools.partial(make_pool, self))


def _database_of(target: object) -> str | None:
    return dict(zip(_TARGET, target, strict=False)).get("dbname") if isinstance(target, tuple) else None


def _as_text(value: str) -> str:
    return value


def _forget_parents_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if isinstance(connection, PooledMixin):
            try:
                connection.forget_if_parents()
            except Exception as error:  # noqa: BLE001  the close() of an engine derived from ours
                message = 'Database "%s": closing a connection of the parent process failed'
                log_in_background(logger.error, message, connection.alias, exc_info=error)


process.at_begin(_forget_parents_connections)


# For projects without the app celery_geventpool, which one of the checks is about.
checks.register()
