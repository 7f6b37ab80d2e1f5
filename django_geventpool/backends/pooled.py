"""What makes one of Django's PostgreSQL engines take its connections from a pool."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from .. import options
from ..drivers import patch_psycopg
from ..pool import Pool
from ..registry import pools

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper as Base
else:
    Base = object

#: Connection parameters that say which database a pool is for.
_TARGET = ("service", "host", "port", "dbname", "user")

#: By alias, the OPTIONS that were last found to be good.
_checked: dict[str, dict[str, Any]] = {}


class Lease:
    """One wrapper's dealings with its pool, in the shape in which Django deals with a pool.

    Knows the connection that it has until it is given back, whatever interrupts Django in between.
    """

    def __init__(self, wrapper: PooledMixin) -> None:
        self._wrapper = wrapper
        self._pool: Pool | None = None
        self._connection: Any = None

    def open(self) -> None:
        """Do nothing: a pool connects when it is first asked. Django calls this before ``getconn``."""

    def getconn(self) -> Any:
        """Lend a connection."""
        self._pool = self._wrapper.obtain_pool()
        self._connection = self._pool.getconn()
        return self._connection

    def give_back(self) -> None:
        """Give the connection back, to the pool that it came from, if there is one to give back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._pool is not None
            self._pool.putconn(connection)

    def forget(self) -> None:
        """Have nothing to do any more with a connection that is the parent process's."""
        self._pool = self._connection = None

    def close(self) -> None:
        """Close the alias's pool."""
        pools.close(self._wrapper.alias)


class PooledMixin(Base):
    """Mixed into a ``DatabaseWrapper`` of Django's, before it: connections come from the alias's pool.

    Django's wrapper knows what to do with a pool (that of psycopg 3); this puts ours in its place.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lease = Lease(self)
        # Bad options should be heard of at the start, not at the first query. A wrapper is made for each greenlet.
        if _checked.get(self.alias) is not self.settings_dict["OPTIONS"]:
            read_options(self)
            _checked[self.alias] = self.settings_dict["OPTIONS"]

    @property
    def pool(self) -> Lease | None:
        """What Django takes for its pool."""
        # Django connects to no database in particular to create or drop one. That is no business of a pool.
        return None if self.alias == NO_DB_ALIAS else self._lease

    def close_pool(self) -> None:
        """Close the alias's pool; Django does, before it clones or drops a test database."""
        self._lease.close()

    def get_connection_params(self) -> dict[str, Any]:
        """Return what the driver is to connect with, without the pool's own options."""
        parameters: dict[str, Any] = super().get_connection_params()
        return {name: value for name, value in parameters.items() if name not in options.NAMES}

    def connect(self) -> None:
        """Take a connection from the pool, and give it back if anything goes wrong with it."""
        if self.pool is None:
            patch_psycopg()
            super().connect()
            return
        try:
            super().connect()
        except BaseException:
            # Killed on the way, or a receiver of connection_created failed.
            self.connection = None
            self._lease.give_back()
            raise

    def _close(self) -> None:
        if self.pool is None:
            super()._close()  # type: ignore[misc]
            return
        self.connection = None
        with self.wrap_database_errors:
            self._lease.give_back()

    def forget_connection(self) -> None:
        """Leave the connection to the parent process, and be as if it had been closed."""
        self._lease.forget()
        self.connection = None
        self.run_on_commit = []
        if self.in_atomic_block:
            # The block can't go on, as after a close() inside it.
            self.closed_in_transaction = True
            self.needs_rollback = True

    def close_if_health_check_failed(self) -> None:
        """Do nothing: the pool hands out no dead connections."""

    def configure(self, connection: Any) -> None:
        """Set a connection's time zone and role; Django knows how."""
        self._configure_connection(connection)  # type: ignore[attr-defined]

    def obtain_pool(self) -> Pool:
        """Return the pool of this wrapper's alias and database, made at the first call.

        :raises ImproperlyConfigured: for options that can't be used.
        """
        parameters = self.get_connection_params()
        target = tuple(parameters.get(name) for name in _TARGET)
        return pools.obtain(self.alias, target, functools.partial(make_pool, self))


def _forget_parents_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if isinstance(connection, PooledMixin):
            connection.forget_connection()


os.register_at_fork(after_in_child=_forget_parents_connections)


def read_options(wrapper: PooledMixin) -> options.PoolOptions:
    """Return the validated pool options of a wrapper's settings.

    :raises ImproperlyConfigured: for options that can't be used, named with their alias.
    """
    try:
        pool_options, _ = options.split(wrapper.settings_dict["OPTIONS"])
    except ImproperlyConfigured as error:
        raise type(error)(f'DATABASES["{wrapper.alias}"]["OPTIONS"]: {error}') from None
    return pool_options


def make_pool(wrapper: PooledMixin) -> Pool:
    """Make the pool that a wrapper's settings ask for."""
    pool_options = read_options(wrapper)
    if is_psycopg3:
        raise ImproperlyConfigured(
            "Django has picked psycopg 3, which this engine can't use yet: uninstall psycopg, and install "
            'psycopg2-binary (pip install "celery-geventpool[psycopg2]").'
        )
    from ..drivers.psycopg2 import Psycopg2Driver

    driver = Psycopg2Driver(
        wrapper.get_connection_params,
        wrapper.configure,
        wrapper.settings_dict["OPTIONS"].get("isolation_level"),
        pool_options.ON_RELEASE_DISCARD_ALL,
    )
    return Pool(wrapper.alias, driver, pool_options)
