"""For code that starts greenlets or threads of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from typing import ParamSpec, TypeVar, overload

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


class _GiveBackAtEnd(ContextDecorator):
    def __enter__(self) -> None:
        """Do nothing: connections are taken when they are first needed."""

    def __exit__(self, *_error: object) -> None:
        give_back_all()


@overload
def close_connection() -> _GiveBackAtEnd: ...


@overload
def close_connection(function: Callable[P, R]) -> Callable[P, R]: ...


def close_connection(
    function: Callable[P, R] | None = None,
) -> _GiveBackAtEnd | Callable[P, R]:
    """Give the database connections of this greenlet or thread back at the end. Decorator and context manager.

    For what your code runs in greenlets or threads of its own::

        @close_connection
        def fetch(url): ...

        gevent.joinall([gevent.spawn(fetch, url) for url in urls])

    or ``with close_connection():`` around the part that uses the database.
    """
    return _GiveBackAtEnd() if function is None else _GiveBackAtEnd()(function)


def give_back_all() -> None:
    """Close the database connections of this greenlet or thread, which gives those of a pool back.

    One that is inside an ``atomic`` block is left alone: it ends with the block.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
