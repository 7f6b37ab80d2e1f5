"""Engines derived from ours that set the session's ``app.tenant`` to the wrapper's ``tenant``.

Each does so in another way, and each is right with Django's engine.
"""

from __future__ import annotations

import weakref
from typing import Any

from django.db.backends.postgresql import base

from django_geventpool.backends.pool_mode import PoolModeMixin
from tests.support.derived_engines import Base


class Tenant:
    """The part that they have in common."""

    tenant = "nobody"

    def set_on(self, cursor: Any) -> None:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [self.tenant])

    def set_on_connection(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            self.set_on(cursor)


class SetUntilClose(Tenant):
    """Sets the tenant once until ``close``, as django-tenants does."""

    connection: Any
    is_set = False

    def close(self) -> None:
        self.is_set = False
        super().close()  # type: ignore[misc]

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc]
        if not self.is_set:
            self.set_on_connection(self.connection)
            self.is_set = True
        return cursor


class Engine(Tenant, Base):  # type: ignore[misc]
    """On ours."""


class UntilClose(SetUntilClose, Engine):
    """On ours."""


class UntilPrivateClose(UntilClose):
    def close(self) -> None:
        Engine.close(self)

    def _close(self) -> None:
        self.is_set = False
        super()._close()


class InCreateCursor(UntilClose):
    def _cursor(self, name: str | None = None) -> Any:
        return Engine._cursor(self, name)  # noqa: SLF001  Django's, for engines to define

    def create_cursor(self, name: str | None = None) -> Any:
        if not self.is_set:
            self.set_on_connection(self.connection)
            self.is_set = True
        return super().create_cursor(name)


class InCursorAfterEnsureConnection(UntilClose):
    def _cursor(self, name: str | None = None) -> Any:
        self.ensure_connection()
        if not self.is_set:
            self.is_set = True
            with self.cursor() as cursor:
                self.set_on(cursor)
        return Engine._cursor(self, name)  # noqa: SLF001  Django's, for engines to define


class InState(Engine):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        self.set_on_connection(self.connection)


class InStateThroughDjango(Engine):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        with self.cursor() as cursor:
            self.set_on(cursor)


class InStateAlone(Engine):
    def init_connection_state(self) -> None:
        self.set_on_connection(self.connection)


class InNewConnection(Engine):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        self.set_on_connection(connection)
        return connection


class InConnect(Engine):
    def connect(self) -> None:
        super().connect()
        with self.cursor() as cursor:
            self.set_on(cursor)


class InEnsureConnection(Engine):
    def ensure_connection(self) -> None:
        is_new = self.connection is None
        super().ensure_connection()
        if is_new:
            with self.cursor() as cursor:
                self.set_on(cursor)


class InConfigure(Engine):
    def _configure_connection(self, connection: Any) -> Any:
        is_changed = super()._configure_connection(connection)
        self.set_on_connection(connection)
        return is_changed


class ByConnection(Engine):
    """Remembers the connection on which it has set the tenant."""

    set_for: Any = None

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if not self.is_set():
            self.set_on_connection(self.connection)
            self.remember()
        return cursor

    def is_set(self) -> bool:
        return self.set_for is self.connection

    def remember(self) -> None:
        self.set_for = self.connection


class ByIdentity(ByConnection):
    def is_set(self) -> bool:
        return bool(self.set_for == id(self.connection))

    def remember(self) -> None:
        self.set_for = id(self.connection)


class ByReference(ByConnection):
    def is_set(self) -> bool:
        return self.set_for is not None and self.set_for() is self.connection

    def remember(self) -> None:
        self.set_for = weakref.ref(self.connection)


class BySet(ByConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_for = weakref.WeakSet()

    def is_set(self) -> bool:
        return self.connection in self.set_for

    def remember(self) -> None:
        self.set_for.add(self.connection)


class ByTable(ByConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_for = {}

    def is_set(self) -> bool:
        return bool(self.set_for.get(id(self.connection)))

    def remember(self) -> None:
        self.set_for[id(self.connection)] = True


class ByAttribute(ByConnection):
    """Records the tenant in an attribute of the driver's connection."""

    def is_set(self) -> bool:
        return getattr(self.connection, "tenant_is_set", False)

    def remember(self) -> None:
        self.connection.tenant_is_set = True


class _Closing:
    """A mixin that knows nothing of pools."""

    is_set: bool

    def close(self) -> None:
        self.is_set = False
        super().close()  # type: ignore[misc]


class Mixed(_Closing, UntilClose):
    def close(self) -> None:
        _Closing.close(self)


class OnDjangos(SetUntilClose, base.DatabaseWrapper):
    """On Django's own engine."""


class Behind(PoolModeMixin, OnDjangos):
    """Puts our mixin before another's engine, which is derived from Django's."""


ENGINES = [
    UntilClose,
    UntilPrivateClose,
    InCreateCursor,
    InCursorAfterEnsureConnection,
    InState,
    InStateThroughDjango,
    InStateAlone,
    InNewConnection,
    InConnect,
    InEnsureConnection,
    InConfigure,
    ByConnection,
    ByIdentity,
    ByReference,
    BySet,
    ByTable,
    ByAttribute,
    Mixed,
    Behind,
]
