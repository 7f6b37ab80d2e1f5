"""Django's own way of taking a connection, which does much that is done already for one that comes from the pool."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base
from django.utils.asyncio import async_unsafe

#: The code of what Django puts around methods that may wait.
_GUARD = async_unsafe(lambda: None).__code__


def _is_djangos(method: Any) -> bool:
    code = getattr(getattr(method, "__wrapped__", None), "__code__", None)
    return getattr(method, "__code__", None) is _GUARD and code is not None and code.co_filename == base.__file__


#: Django's method, None if somebody has put another in its place before this was imported.
_get_new_connection = base.DatabaseWrapper.get_new_connection
_STOCK: Any = _get_new_connection if _is_djangos(_get_new_connection) else None


def is_stock(method: Any) -> bool:
    """Return whether a wrapper's bound ``get_new_connection`` is Django's own for PostgreSQL, unchanged.

    With a pool it does three things: it sets ``isolation_level``, asks the pool, and has psycopg2 leave JSON alone.
    """
    return _STOCK is not None and getattr(method, "__func__", None) is _STOCK
