"""What turns the driver's errors into Django's."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseErrorWrapper

from ..drivers.base import note_error

F = TypeVar("F", bound=Callable[..., Any])


class ErrorWrapper(DatabaseErrorWrapper):
    """Django's own, which also records on a connection that its server has refused to write.

    A wrapper has one, used for each of its calls. It doesn't keep the wrapper alive, which would be a cycle.
    """

    def __init__(self, wrapper: BaseDatabaseWrapper) -> None:
        self._wrapper = weakref.ref(wrapper)

    @property
    def wrapper(self) -> Any:
        """The wrapper that this belongs to, None if it is gone."""
        return self._wrapper()

    @wrapper.deleter
    def wrapper(self) -> None:
        """Do nothing: Django 6.0 and later delete theirs in the end, to break the cycle."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_value is None:
            return
        wrapper = self.wrapper
        if wrapper is None:
            return  # Code that has kept this without its wrapper gets the driver's error.
        if isinstance(exc_value, Exception) and wrapper.pool is not None:
            note_error(wrapper.pool.connection, exc_value)
        super().__exit__(exc_type, exc_value, traceback)

    def __call__(self, function: F) -> F:
        """Return a function that does the same, but raises Django's errors; Django wraps the methods of cursors so."""
        wrapper: Any = self._wrapper()  # What is returned keeps it alive, as a cursor's method keeps the cursor.

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with wrapper.wrap_database_errors:
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]
