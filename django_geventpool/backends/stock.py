"""Short cuts past Django's own methods, taken only as long as nobody has put others in their place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db.backends.postgresql import base
from django.utils.asyncio import async_unsafe

#: The code of the guard that Django puts around methods that may wait.
_GUARD = async_unsafe(lambda: None).__code__


def _is_djangos(method: Any) -> bool:
    code = getattr(getattr(method, "__wrapped__", None), "__code__", None)
    return getattr(method, "__code__", None) is _GUARD and code is not None and code.co_filename == base.__file__


#: Django's method, None if somebody has put another in its place before this was imported.
_get_new_connection = base.DatabaseWrapper.get_new_connection
_STOCK: Any = _get_new_connection if _is_djangos(_get_new_connection) else None


def is_stock(method: Any) -> bool:
    """Return whether a wrapper's bound ``get_new_connection`` is Django's own for PostgreSQL, unchanged.

    With a pool it does three things: it sets ``isolation_level``, asks the pool, and makes psycopg2 leave JSON alone.
    """
    # Not by isinstance: a proxy says that it is of the type of what it wraps.
    return _STOCK is not None and type(method) is MethodType and method.__func__ is _STOCK


def close_past_guard(wrapper: Any, close: Callable[[], object]) -> None:
    """Call a wrapper's bound ``close`` without the guard that Django has around it against event loops.

    What other libraries have put around both is called as well, unless the guard stops it.
    """
    if type(close) is MethodType and getattr(close.__func__, "__code__", None) is _GUARD:
        close.__func__.__wrapped__(wrapper)  # type: ignore[attr-defined]
        return
    try:
        close()
    except SynchronousOnlyOperation:
        inspect.unwrap(close)(wrapper)
