"""For code that starts greenlets or threads of its own."""

from __future__ import annotations

import _thread
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.utils.connection import ConnectionDoesNotExist

from . import taken
from .options.declared import DECLARED
from .pool.time_limits import WaitBlock
from .text import show

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

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


@contextmanager
def pinned(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Keep one connection for all queries of the block, in POOL_MODE "transaction".

    For what lives in the server's session: SET, advisory locks, temporary tables, LISTEN, PREPARE. In the block,
    SESSION_STATE neither warns of these nor refuses them. May be nested. In POOL_MODE "session", and for an alias of
    another engine, the connection stays anyway.

    :param using: the database alias.
    """
    # Not at the top: it needs a driver, which a project whose tests use another engine may lack.
    from .backends.pool_mode import PoolModeMixin

    connection = connections[using]
    if not isinstance(connection, PoolModeMixin):
        yield
        return
    connection.pin()
    try:
        yield
    finally:
        connection.unpin()


def wait_timeout(using: str, seconds: float | None) -> AbstractContextManager[None]:
    """Set how long the code of a block waits for a connection, instead of CONN_WAIT_TIMEOUT.

    For example::

        with wait_timeout("default", 2):
            price = Price.objects.get(pk=1)

    It holds for the greenlet, thread or asyncio task, each time that one waits. Inside another block it replaces that
    one's; a time limit of the task's that strikes earlier counts all the same. For an alias of another engine it does
    nothing.

    :param using: the database alias.
    :param seconds: 0 fails at once when the pool is full; None waits without limit.
    :raises ConnectionDoesNotExist: for an alias that DATABASES doesn't have.
    :raises ValueError: for anything but seconds.
    """
    if using not in connections.settings:
        known = ", ".join(f'"{alias}"' for alias in connections.settings)
        raise ConnectionDoesNotExist(f"wait_timeout: DATABASES has no {show(using)}, but {known}.")
    expected = DECLARED["CONN_WAIT_TIMEOUT"].kind.instead_of(seconds)
    if expected is not None:
        raise ValueError(f"wait_timeout must be {expected}, not {show(seconds)}.")
    return WaitBlock(using, seconds)


def give_back_all() -> None:
    """Close the database connections of this greenlet or thread.

    Those of a pool go back by that (``PooledMixin._close``). One inside an ``atomic`` block is left alone.
    """
    _give_back_all(connections.all(initialized_only=True))


def _give_back_all(known: Sequence[BaseDatabaseWrapper]) -> None:
    give_back([*known, *(wrapper for wrapper in taken.connected() if wrapper not in known)])


def end_task() -> None:
    """Close the database connections of this greenlet or thread, in whatever state they are, as its task has ended.

    If one is still inside an ``atomic`` block, an interruption on the way out has left it there. Django can't use it
    any more, so the next task gets another.
    """
    wrappers = connections.all(initialized_only=True)
    _give_back_all(wrappers)
    for wrapper in wrappers:
        owner: int = wrapper._thread_ident  # type: ignore[attr-defined]  # noqa: SLF001  as Django's own checks do
        if wrapper.in_atomic_block and owner == _thread.get_ident() and not wrapper.allow_thread_sharing:
            wrapper.close()
            del connections[wrapper.alias]


def give_back(wrappers: Iterable[BaseDatabaseWrapper], but: Container[BaseDatabaseWrapper] = ()) -> None:
    """Close some of the database connections of this greenlet or thread; those inside an ``atomic`` block stay.

    :param but: further ones that stay.
    :raises django.db.Error: the first error, once all have been closed.
    """
    first: Error | None = None
    for wrapper in wrappers:
        if wrapper not in but and not wrapper.in_atomic_block:
            try:
                wrapper.close()
            except Error as error:
                first = first or error
    if first is not None:
        raise first
