"""What a wrapper has of its pool."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

from ..pool import Pool
from ..pool.driver import Driver


class Lease:
    """One wrapper's dealings with its pool, in the shape in which Django deals with a pool.

    Knows the connection that it has until it is given back, whatever interrupts Django in between.

    :param obtain: the wrapper's method that returns the pool to take a connection from.
    """

    __slots__ = ("_connection", "_obtain", "_pool")

    def __init__(self, obtain: Callable[[], Pool]) -> None:
        # As the wrapper has its lease: a cycle would leave each wrapper, one for each greenlet, to garbage collection.
        self._obtain = weakref.WeakMethod(obtain)
        self._pool: Pool | None = None
        self._connection: Any = None

    def open(self) -> None:
        """Do nothing: a pool connects when it is first asked. Django calls this before ``getconn``."""

    def getconn(self) -> Any:
        """Lend a connection, in the shape in which the driver's ``connect`` has returned it: perhaps a proxy."""
        self.give_back()  # Somebody may have set the wrapper's connection to None, and left it to us.
        obtain = self._obtain()
        assert obtain is not None, "it is the wrapper that asks"
        self._pool = obtain()
        self._connection = self._pool.getconn()
        self._connection.fresh_since = time.monotonic()
        return self._connection.lent_as

    @property
    def connection(self) -> Any:
        """The connection itself, which the wrapper may have a proxy of; None if there is none."""
        return self._connection

    @property
    def driver(self) -> Driver:
        """What knows about the connection."""
        assert self._pool is not None
        return self._pool.driver

    def give_back(self) -> None:
        """Give the connection back, to the pool that it came from, if there is one to give back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            assert self._pool is not None
            self._pool.putconn(connection)

    def share(self) -> None:
        """Have the connection, if there is one, not reclaimed when the greenlet or thread ends that took it."""
        if self._connection is not None:
            assert self._pool is not None
            self._pool.share(self._connection)

    def time_zone(self) -> str | None:
        """Return the time zone of the connection's session, as the server reported it last."""
        assert self._pool is not None
        return self._pool.driver.time_zone(self._connection)

    def is_in_transaction(self) -> bool:
        """Tell whether the server has a transaction open for the connection, if there is one."""
        if self._connection is None:
            return False
        assert self._pool is not None
        return self._pool.driver.is_in_transaction(self._connection)

    def forget(self) -> None:
        """Have nothing to do any more with a connection that is the parent process's."""
        self._pool = self._connection = None
