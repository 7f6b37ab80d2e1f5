"""The pool as one wrapper sees it."""

from __future__ import annotations

import time
import weakref
from typing import Any

from ..engines import PooledWrapper
from ..pool import Pool
from ..pool.driver import Driver
from ..pool.holder import Holder
from ..pool.owner import Owner


class PoolAdapter:
    """A wrapper's side of its pool, with the methods that Django calls on a pool.

    The pool knows which connection the wrapper has: it comes back even if Django is interrupted in between, or the
    wrapper goes without ``close()``.

    :param wrapper: knows the pool to take a connection from.
    """

    __slots__ = (
        "__weakref__",
        "_owner",
        "_pool",
        "_time_zone",
        "driver",
        "is_known",
        "unused_connection",
        "visitor",
        "wrapper",
    )

    def __init__(self, wrapper: PooledWrapper) -> None:
        # Weak: a cycle would leave each wrapper, one for each greenlet, to garbage collection.
        self.wrapper = weakref.ref(wrapper)
        self._owner = Owner(self)
        self._pool: Pool | None = None
        #: The driver of the pool; there from the first ``getconn`` on.
        self.driver: Driver
        #: Marks the connections whose sessions the wrapper has set up.
        self.visitor = object()
        #: Whether the session of the connection that was lent last is still as this wrapper had set it up.
        self.is_known = False
        #: The time zone of the session that was set up last.
        self._time_zone: str | None = None
        #: The connection that was lent last, until Django sends a statement on it; other uses it records itself.
        self.unused_connection: Any = None

    def open(self) -> None:
        """Do nothing: a pool connects when it is first asked. Django calls this before ``getconn``."""

    def getconn(self) -> Any:
        """Take a connection from the pool; return what the driver's ``connect`` returned for it, perhaps a proxy."""
        if self._owner.request is not None:
            self.give_back()  # Somebody has set the wrapper's connection to None, without giving it back.
        wrapper = self.wrapper()
        assert wrapper is not None, "it is the wrapper that asks"
        self._pool = pool = wrapper.pool_of_target()
        self.driver = pool.driver
        self.unused_connection = connection = pool.getconn(owner=self._owner)
        connection.unused_since = time.monotonic()
        self.is_known = connection.meet(self.visitor)
        if not self.is_known:
            self.driver.clear_set_up(connection)
        session = connection.session
        session.owner = self.wrapper
        session.refuses = wrapper.session_policy == "raise"
        return connection.lent_as

    @property
    def connection(self) -> Any:
        """The connection itself, which the wrapper may have a proxy of; None if there is none."""
        # As `Owner.connection`, but without the call: each statement asks several times.
        request = self._owner.request
        slot = None if request is None else request.slot
        return slot.connection if slot is not None and slot.request is request else None

    def resume(self) -> bool:
        """Go on with the session if it is as this wrapper has set it up, time zone too; return whether it is."""
        connection = self.connection
        if not self.is_known or connection is None or self.driver.time_zone(connection) != self._time_zone:
            return False
        connection.known_to = self.visitor
        return True

    def record_set_up(self) -> None:
        """Record what was done to set the session up, if anything was, so that it doesn't count as a change."""
        connection = self.connection
        if connection is not None and connection.session.has_more_set_up:
            connection.record_as_set_up()

    def know(self) -> None:
        """Record that the session of the connection is set up for this wrapper now."""
        if (connection := self.connection) is not None:  # A receiver of connection_created may have closed it.
            if not self.is_known:
                connection.record_as_set_up()
            self._time_zone = self.driver.time_zone(connection)
            connection.known_to = self.visitor

    def give_back(self) -> None:
        """Give the connection back, to the pool that it came from, if there is one to give back."""
        self.unused_connection = None
        if self._pool is not None and self._owner.request is not None:
            self._pool.give_back(self._owner)

    def reassign(self, holder: Holder) -> None:
        """Make another holder the one whose end reclaims the connection."""
        if self._pool is not None:
            self._pool.reassign(self._owner, holder)

    def time_zone(self) -> str | None:
        """Return the time zone of the connection's session, as the server reported it last; None without one."""
        connection = self.connection
        return None if connection is None else self.driver.time_zone(connection)

    def is_in_transaction(self) -> bool:
        """Return whether the server has a transaction open for the connection, if there is one."""
        connection = self.connection
        return connection is not None and self.driver.is_in_transaction(connection)

    def is_needed(self, *, pins: bool) -> bool:
        """Return whether the connection has to stay: for a transaction, or for what was done to its session.

        :param pins: whether it stays for the session, too. That is counted, and the server may be asked about
            advisory locks.
        """
        connection = self.connection
        if connection is None:
            return False
        if self.driver.is_in_transaction(connection):
            return True
        kinds = self.driver.kinds_kept(connection) if pins else ()
        if not kinds:
            return False
        if (new := connection.session.count_new(kinds)) and self._pool is not None:
            self._pool.count_pins(new, self._owner.request)
        return True

    def who(self) -> str:
        """Return the name of the holder of the connection, as it is shown."""
        request = self._owner.request
        return "nobody" if request is None or request.slot is None else request.slot.who()

    def forget(self) -> None:
        """Forget the connection, which is the parent process's."""
        self._pool = None
        self._owner = Owner(self)
