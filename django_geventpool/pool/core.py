"""The pool: a bounded set of server connections, lent to greenlets and threads in the order of their asking."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import os
import threading
import time
import traceback
from collections import deque
from typing import Any

from ..errors import PoolClosed, PoolTimeout
from ..options import PoolOptions
from . import holder as holders
from .alarms import Alarms
from .closer import Closer
from .driver import Driver
from .holder import Holder
from .housekeeper import Housekeeper
from .lock import Lock
from .room import LOOK_AT_HOLDERS, Room
from .slot import Request, Slot, State
from .statistics import Reason
from .stats import HeldConnection, PoolStats
from .succession import Succession

logger = logging.getLogger("geventpool.pool")

#: Marks a timeout that was not given: CONN_WAIT_TIMEOUT holds.
_DEFAULT: Any = object()


class Pool:
    """A bounded pool of connections of one process to one server.

    One lock guards the room, held for a few steps in memory and never for I/O. A server connection takes its slot
    before it is opened and keeps it until the server has let go of it, so that the server never counts more than the
    limit. Whatever is interrupted, by whatever exception, leaves its slot to somebody who closes or lends it.

    :param name: the alias, for messages.
    :param driver: opens and closes the connections.
    :param options: limits and times, see PoolOptions.
    """

    def __init__(self, name: str, driver: Driver, options: PoolOptions) -> None:
        self.name = name
        self.driver = driver
        self.options = options
        self._pid = os.getpid()
        self._lock = Lock()
        self._room = Room(options, self._holder_ended, time.monotonic)
        self._room.look_by = self._look_by
        self._alarms = Alarms(name)
        self._closer = Closer(name, driver, self._lock, self._room)
        #: Slots of holders that ended. They get in without the lock, see Holder.end.
        self._ended: deque[tuple[Slot, Holder]] = deque()
        #: Slots that came back in the middle of this pool's own work, and what is wrong with their connections.
        self._late: deque[tuple[Slot, Reason | None]] = deque()
        self._housekeeper = Housekeeper(self._keep_house)
        #: When the housekeeper will look next (monotonic seconds).
        self._next_look = 0.0
        self._succession = Succession(self._room, self._housekeeper.wake)

    def __repr__(self) -> str:
        return f"<Pool {self.name!r}{' closed' if self.closed else ''}: {self.stats()}>"

    @property
    def closed(self) -> bool:
        """Whether the pool lends no more: it was closed, or is the parent process's."""
        return self._room.closed or self._pid != os.getpid()

    def succeed(self, elder: Pool) -> None:
        """Take the place of a pool that is closed, or about to be: its connections count until they are gone.

        Called before this pool lends.
        """
        self._succession.follow(elder._succession)

    # Lending

    def getconn(self, timeout: float | None = _DEFAULT) -> Any:
        """Lend a connection to the running greenlet or thread, waiting for one if there is none.

        :param timeout: seconds to wait instead of CONN_WAIT_TIMEOUT.
        :raises PoolTimeout: when none comes free in time.
        :raises PoolClosed: when the pool is closed, also while waiting.
        :raises Exception: what the driver raises when it can't connect.
        """
        request = Request(
            holders.current(),
            holders.describe(),
            self.options.CONN_WAIT_TIMEOUT if timeout is _DEFAULT else timeout,
            self._stack(),
            is_urgent=holders.is_urgent(),
        )
        slot = self._ask(request)
        while True:
            if slot is None:
                slot = self._await(request)
            self._watch_over(slot, request.holder)
            try:
                connection = self._make_ready(slot)
                self._settle(request)
                return connection
            except BaseException as error:
                if not self.driver.is_server_full(error):
                    self._throw_away(slot)
                    self._settle(request)
                    raise
                self._retreat(slot, request, error)
                slot = None

    def _settle(self, request: Request) -> None:
        if request.since is not None:
            with self._lock:
                self._room.settle(request)

    def putconn(self, connection: Any) -> None:
        """Take a connection back. One that isn't lent, or not by this process, is left alone."""
        slot = self._room.by_connection.get(connection)
        if slot is None or slot.state is not State.IN_USE or self._pid != os.getpid():
            return
        flaw: Reason | None = "killed"
        try:
            flaw = self._look_at(connection)
        except Exception:
            # The connection is of no more use, but whoever gives it back has no use for it either.
            logger.debug('Pool "%s": a connection could not be cleaned', self.name, exc_info=True)
            flaw = "broken"
        finally:
            self._take_back(slot, flaw)

    def _look_at(self, connection: Any) -> Reason | None:
        """Say why a connection that comes back should not be lent again, None if it should."""
        if not self.driver.clean(connection):
            return "broken"
        if self._room.waiting and not self._lock.is_mine():
            with self._lock:
                is_turn_over = self._room.is_turn_over()
            if is_turn_over and self.driver.is_at_full_server(connection):
                with self._lock:
                    self._room.step_aside()
                return "yielded"
        return None

    def share(self, connection: Any) -> None:
        """Leave a lent connection to several greenlets or threads: the end of one does not reclaim it."""
        with self._lock:
            self._room.share(connection, holders.nobody())

    def _stack(self) -> traceback.StackSummary | None:
        if self.options.LEAK_WARNING_AFTER is None:
            return None
        return traceback.StackSummary.extract(traceback.walk_stack(None), limit=20, lookup_lines=False)

    def _ask(self, request: Request) -> Slot | None:
        """Take a slot, or queue."""
        if self._pid != os.getpid():
            raise self._closed_error()  # Without the lock: a thread that was not forked may hold it for ever.
        with self._lock:
            if self.closed:
                raise self._closed_error()
            slot = self._room.take(request)
            if slot is None:
                self._queue(request)
        self._housekeeper.start()
        return slot

    def _watch_over(self, slot: Slot, holder: Holder) -> None:
        """Have the end of a holder noticed, and the housekeeper look at what it was lent, in time."""
        holder.watch()
        if holder.is_gone is not None:
            self._look_by(slot.since + LOOK_AT_HOLDERS)
        if self.options.LEAK_WARNING_AFTER is not None:
            self._look_by(slot.since + self.options.LEAK_WARNING_AFTER)

    def _queue(self, request: Request) -> None:
        """Queue a request, under the lock."""
        if self.closed:
            raise self._closed_error()
        if request.is_late(time.monotonic()):
            self._room.settle(request)
            raise self._time_out(request)
        request.close_gate()
        self._room.enqueue(request)
        self._look_by(self._alarms.wait_is_due(request.since))
        if request.deadline is not None:
            self._look_by(request.deadline)

    def _await(self, request: Request) -> Slot:
        """Wait for the turn of a queued request."""
        try:
            request.wait(self._housekeeper.is_running)
        except BaseException:
            with self._lock:
                to_close = self._room.withdraw(request)
            if request.slot is not None:
                self._came_back(request.slot, to_close)
            raise
        if request.slot is None:
            with self._lock:
                # Without a housekeeper it has told the time for itself, and may have been answered after all.
                if request.slot is None:
                    self._room.withdraw(request)
                    raise request.error or self._time_out(request)
        return request.slot

    def _make_ready(self, slot: Slot) -> Any:
        if slot.connection is not None and not self.driver.is_alive(slot.connection):
            logger.debug('Pool "%s": an idle connection was lost; replacing it', self.name)
            self._closer.end(slot.connection)
            with self._lock:
                self._room.emptied(slot, "broken")
            self._connect(slot)
            with self._lock:
                self._room.statistics.reconnects += 1
        elif slot.connection is None:
            self._connect(slot)
        return slot.connection

    def _connect(self, slot: Slot) -> None:
        logger.debug('Pool "%s": connecting', self.name)
        start = time.monotonic()
        try:
            connection = self.driver.connect(functools.partial(self._opening, slot))
        except Exception:
            with self._lock:
                self._room.statistics.failed_connects += 1
            raise
        with self._lock:
            self._room.opened(slot, connection, time.monotonic() - start)

    def _opening(self, slot: Slot, connection: Any) -> None:
        with self._lock:
            left = self._room.opening(slot, connection)
        if left is not None:
            self._closer.close_soon(left)

    def _take_back(self, slot: Slot, flaw: Reason | None) -> None:
        if self._lock.is_mine():
            self._late.append((slot, flaw))
            self._housekeeper.wake()
            return
        with self._lock:
            if slot.state is not State.IN_USE:
                return  # Reclaimed meanwhile.
            if flaw is not None and self.driver.is_interrupted(slot.connection):
                flaw = "killed"
            to_close = self._room.give_back(slot, flaw)
        self._came_back(slot, to_close)

    def _came_back(self, slot: Slot, to_close: bool) -> None:
        if to_close:
            self._closer.close_soon(slot)
        else:
            self._look_by(self._room.idle_until(slot))

    def _retreat(self, slot: Slot, request: Request, error: BaseException) -> None:
        """Let a request that found the server full wait once more, in its old place."""
        request.refused = error
        to_close = False
        try:
            logger.debug('Pool "%s": the server has no connection left; waiting for one', self.name)
            with self._lock:
                self._room.refused()
                try:
                    self._queue(request)
                finally:
                    to_close = self._room.doom(slot, "broken")
                self._room.dispatch()  # One of our own may have come back meanwhile.
        finally:
            if to_close:
                self._closer.close_soon(slot)

    # Closing

    def close(self, timeout: float = 5.0) -> None:
        """Close the idle connections, and those in use when they come back; send the waiters away.

        Does nothing to a pool that is closed, nor to the parent process's in a forked child.

        :param timeout: seconds to wait at the most until the server has let go of the idle connections.
        """
        if self.closed:
            return
        with self._lock:
            doomed = self._room.close(self._closed_error)
        closed = threading.Semaphore(0)

        def close(slot: Slot) -> None:
            try:
                self._closer.close(slot)
            finally:
                closed.release()

        for slot in doomed:
            self._closer.start(close, slot)
        self._housekeeper.wake()
        deadline = time.monotonic() + timeout
        for _ in doomed:
            closed.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def resize(self, limit: int) -> None:
        """Change MAX_CONNS: at once upwards, downwards as connections come back.

        :raises InvalidOption: for anything but a whole number of at least 1 and MIN_CONNS.
        """
        options = dataclasses.replace(self.options, MAX_CONNS=limit)
        with self._lock:
            self.options = self._room.options = options
            self._room.limit = limit
            surplus = self._room.surplus()
            self._room.dispatch()
        self._closer.close_soon(*surplus)

    def stats(self) -> PoolStats:
        """Return the pool's numbers of this moment."""
        with self._lock:
            return self._room.snapshot()

    def holders(self) -> list[HeldConnection]:
        """Return who holds connections now, the longest holder first."""
        now = time.monotonic()
        with self._lock:
            held = [
                (slot.connection, slot.who(), slot.label, now - slot.since)
                for slot in self._room.slots
                if slot.holder is not None and slot.state is State.IN_USE
            ]
        held.sort(key=lambda entry: entry[3], reverse=True)
        return [
            HeldConnection(who, label, seconds, self.driver.state(connection))
            for connection, who, label, seconds in held
        ]

    def close_idle(self) -> int:
        """Close the connections that nobody uses, MIN_CONNS or not, without waiting; return how many."""
        with self._lock:
            doomed = self._room.drain()
        self._closer.close_soon(*doomed)
        return len(doomed)

    def _throw_away(self, slot: Slot) -> None:
        with self._lock:
            to_close = self._room.doom(slot, "broken")
        if to_close:
            self._closer.close_soon(slot)

    # Housekeeping

    def _holder_ended(self, slot: Slot, holder: Holder) -> None:
        if self._pid == os.getpid():  # Else it is a forked child that drops what it inherited.
            self._ended.append((slot, holder))
            self._housekeeper.wake()

    def _look_by(self, when: float) -> None:
        if when < self._next_look:
            self._next_look = when
            self._housekeeper.wake()

    def _keep_house(self) -> float | None:
        """Do what is due; return the seconds until more is, None for unknown, a negative number for never."""
        if self._pid != os.getpid():
            return -1  # A greenlet that was forked along with its parent's pool.
        while self._late:
            self._take_back(*self._late.popleft())
        with self._lock:
            now = time.monotonic()
            reclaimed = self._reclaim()
            doomed, to_renew = self._room.outdated(now)
            overdue = [(slot.who(), slot.stack) for slot in self._room.overdue(now)]
            self._room.dispatch()
            self._room.expire(now)
            since = self._room.waiting_since()
            waited_since = since if self._alarms.is_to_warn_of_wait(since) else None
            self._next_look = min(self._room.next_deadline(now), self._alarms.wait_is_due(since))
            finished = self._succession.is_spent
        self._succession.tell_heir()
        self._closer.close_soon(*doomed, *(slot for slot, _ in reclaimed))
        for slot in to_renew:
            self._closer.start(self._renew, slot)
        for _, who in reclaimed:
            self._alarms.warn_of_abandoned(who)
        for who, stack in overdue:
            self._alarms.warn_of_leak(who, self.options.LEAK_WARNING_AFTER, stack)
        if waited_since is not None:
            self._alarms.warn_of_wait(waited_since, self.stats())
        if finished:
            return -1
        return None if self._next_look == math.inf else max(0.0, self._next_look - time.monotonic())

    def _reclaim(self) -> list[tuple[Slot, str]]:
        """Take back, under the lock, what holders that ended still hold."""
        reclaimed = []
        self._ended.extend(self._room.abandoned())
        while self._ended:
            slot, holder = self._ended.popleft()
            if slot.holder is holder:  # Else it was given back, and perhaps lent again.
                who = slot.who()
                self._room.statistics.reclaimed += 1
                if self._room.doom(slot, "reclaimed"):
                    reclaimed.append((slot, who))
        return reclaimed

    def _renew(self, slot: Slot) -> None:
        """Replace an idle connection that has lived long enough."""
        try:
            self._closer.end(slot.connection)
            with self._lock:
                self._room.emptied(slot, "lifetime")
            self._make_ready(slot)
            self._take_back(slot, None)
        except BaseException:
            logger.debug('Pool "%s": an idle connection could not be renewed', self.name, exc_info=True)
            self._throw_away(slot)

    # Errors

    def _closed_error(self) -> PoolClosed:
        return PoolClosed(f'Pool "{self.name}" is closed: take a new one from django_geventpool.pools.')

    def _time_out(self, request: Request) -> PoolTimeout:
        """Count a request whose time is over, and return the error for it. Called under the lock."""
        self._room.statistics.timeouts += 1
        elsewhere = self._room.elsewhere()
        error = PoolTimeout(
            f'Pool "{self.name}": no connection came free within {request.timeout} s (CONN_WAIT_TIMEOUT): '
            f"{self._room.snapshot()}."
            + (f" {elsewhere} more are still open of the pool before it, which was closed." if elsewhere else "")
            + (" The server itself has no connection left for us." if self._room.full_pause else "")
            + " Hold connections for less time, or raise MAX_CONNS if the server has room."
        )
        error.__cause__ = request.refused
        return error
