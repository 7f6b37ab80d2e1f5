"""The pool: a bounded set of server connections, lent to greenlets and threads in the order in which they ask."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .. import green, process
from ..errors import ClientBusy
from ..options import PoolOptions
from . import holder as holders
from . import snapshots, waits
from . import stack as stacks
from .alarms import Alarms
from .closer import Closer
from .connector import Connector
from .counters import StateKind
from .driver import Driver
from .due import Due, begin_due_work
from .holder import Holder
from .housekeeper import Housekeeper
from .lock import Lock, ReentryError
from .lookout import Lookout
from .owner import Owner
from .predecessors import Predecessors
from .refusals import Refusals
from .repair import repair
from .returns import Returns
from .slot import Request, Slot, State
from .state import PoolState
from .stats import HeldConnection, PoolStats
from .time_limits import AS_CONFIGURED, wait_limit
from .upkeep import HOLDER_POLL_INTERVAL, Upkeep
from .use_by_task import TaskUse

logger = logging.getLogger("geventpool.pool")


class Pool:
    """A bounded pool of connections of one process to one server.

    One lock guards the state, held for a few steps in memory and never for I/O. A connection has its slot from before
    it is opened until the server has let go of it, so the server never counts more than the limit. If an exception
    interrupts a caller, its slot is closed or lent again, never lost.

    :param name: the alias, for messages.
    :param driver: opens and closes the connections.
    :param options: limits and times, see PoolOptions.
    """

    def __init__(self, name: str, driver: Driver, options: PoolOptions) -> None:
        self.name = name
        self.driver = driver
        self.options = options
        self._process = process.mark()
        self._state = PoolState(options, self.wake, time.monotonic)
        self._lock = Lock(functools.partial(repair, self._state))
        self._upkeep = Upkeep(self._state)
        self._alarms = Alarms(name, driver, self._state)
        self._refusals = Refusals(name, self._lock, self._state, self._alarms)
        self._closer = Closer(name, driver, self._lock, self._state)
        self._lookout = Lookout(driver, self._lock, self._state, self._wake_by)
        self._connector = Connector(name, driver, self._lock, self._state, self._closer, self._lookout)
        self._housekeeper = Housekeeper(self._keep_house)
        self._returns = Returns(
            name,
            driver,
            self._lock,
            self._state,
            self._closer,
            self._upkeep,
            self._lookout,
            self._wake_by,
            self._housekeeper.wake,
        )
        #: When the housekeeper will look next (monotonic seconds).
        self._wakes_at = 0.0
        self._predecessors = Predecessors(self._state, self._housekeeper.wake)
        green.record_starters()

    def __repr__(self) -> str:
        return f"<Pool {self.name!r}{' closed' if self.closed else ''}: {self.stats()}>"

    @property
    def closed(self) -> bool:
        """Whether the pool lends nothing any more: it was closed, or is the parent process's."""
        return self._state.closed or not process.is_current(self._process)

    def succeed(self, predecessor: Pool) -> None:
        """Replace a pool that is closed, before this one lends: connections that it still has count."""
        self._predecessors.succeed(predecessor._predecessors)

    # Lending

    def getconn(self, timeout: float | None = AS_CONFIGURED, owner: Owner | None = None) -> Any:
        """Lend a connection to the running greenlet or thread, waiting for one if there is none.

        :param timeout: seconds to wait instead of CONN_WAIT_TIMEOUT, or until a time limit of the task's.
        :param owner: on whose behalf. It has one connection at a time: one that it still has is taken back first.
        :raises PoolTimeout: when none comes free in time.
        :raises PoolClosed: when the pool is closed, also while waiting.
        :raises ClientBusy: when another greenlet or thread is taking a connection for the same owner.
        :raises Exception: what the driver raises when it can't connect.
        """
        if self.closed:
            raise self._refusals.closed()  # Without the lock: a thread that was not forked may hold it for ever.
        if owner is not None:
            if owner.request is not None:
                self.give_back(owner)
            if owner.request is not None and not owner.request.is_served:
                raise ClientBusy(
                    "Another greenlet or thread is taking a connection for the same database wrapper: use "
                    "django.db.connections, which has one for each of them."
                )
        seconds, source = wait_limit(self.name, timeout, self.options.CONN_WAIT_TIMEOUT)
        request = Request(
            holders.current(),
            holders.describe(),
            seconds,
            None if self.options.LEAK_WARNING_AFTER is None else stacks.capture(),
            owner=owner,
            is_urgent=holders.begin_request(),
            timeout_source=source,
        )
        try:
            return self._serve(request)
        except BaseException as error:
            self._withdraw(request)
            if request.waited_from is not None:
                waits.report(self.name, request, error)
            raise
        finally:
            # Their tracebacks would keep the frames of this call and of its callers.
            request.error = request.full_error = None

    def _serve(self, request: Request) -> Any:
        self._lock.run(self._state.ask, request)
        self._housekeeper.start()
        while True:
            if request.gate is not None and request.held is None:
                self._announce(request)
                # No helper function here: each waiter keeps its frames in memory.
                while not request.wait_or_poll(self._housekeeper.watches(request.waking_thread)):
                    self._keep_house()
                    # This waiter planned the next look, not the housekeeper, so `_wake_by` must wake it.
                    self._wakes_at = math.inf
            slot = self._receive(request)
            request.is_received = True
            self._watch_over(slot, request.holder)
            try:
                self._connector.make_ready(slot)
            except BaseException as error:
                if not self.driver.is_server_full(error):
                    raise
                logger.debug('Pool "%s": the server has no connection left; waiting for one', self.name)
                # To its old place in the queue. `ServerLimit` says when the next attempt may be.
                self._closer.close_soon(self._lock.run(self._state.requeue, request, error))
                self._wake_by(self._state.server.retry_at)
            else:
                if request.since is not None:
                    self._lock.run(self._state.record_wait, request)
                request.is_served = True
                if request.waited_from is not None:
                    waits.report(self.name, request)
                return slot.connection

    def _announce(self, request: Request) -> None:
        """Plan the housekeeper's next look early enough for a request that is about to wait."""
        if request.is_first:  # Else whoever has waited for longer has planned the alarms' look.
            self._wake_by(self._alarms.due_at(request.since))
        if request.deadline is not None:
            self._wake_by(request.deadline)

    def _receive(self, request: Request) -> Slot:
        """Return the slot that a request was given.

        :raises PoolTimeout, PoolClosed: if it was given none.
        """
        # Without a housekeeper the waiter watches its own deadline, and may have been answered just after it.
        slot = request.held or self._lock.run(self._accept, request)
        if slot is None:
            raise request.error or (self._refusals.closed() if self.closed else self._refusals.record_timeout(request))
        return slot

    def _accept(self, request: Request) -> Slot | None:
        """Return the slot that a request was given; if there is none, take the request out of the queue."""
        slot = request.held
        if slot is None:
            self._state.withdraw(request)
        return slot

    def _withdraw(self, request: Request) -> None:
        """Cancel a request: take it out of the queue, and take back what it was given."""
        if process.is_current(self._process):
            self._closer.close_soon(self._lock.run(self._state.withdraw, request))

    # What was lent: taken back, reassigned, watched

    def putconn(self, connection: Any) -> None:
        """Take a connection back. One that isn't lent, or not by this process, is left alone.

        :raises Exception: what interrupts the caller meanwhile, such as its own timeout. The connection is taken back
            all the same.
        """
        slot = self._state.by_connection.get(connection)
        if slot is None or not process.is_current(self._process):
            return
        if slot.state is State.IN_USE and slot.request is not None:
            self._returns.clean_and_take_back(slot, slot.request)

    def give_back(self, owner: Owner) -> None:
        """Take back what an owner has, or cancel its request if whoever made that was interrupted.

        What another greenlet or thread is taking or giving back is left to it. In a forked child, the parent's
        connection is only forgotten.

        :raises Exception: see ``putconn``.
        """
        request = owner.request
        if request is None:
            return
        if not process.is_current(self._process):
            owner.forget(request)  # Else its next pool would take the parent's connection for its own.
            return
        if not request.is_served and request.holder is not holders.current() and not request.holder.is_gone:
            return  # Another greenlet or thread, which shares the owner, is still taking it.
        slot = request.slot
        if slot is None or slot.request is not request or slot.state is not State.IN_USE:
            self._withdraw(request)
        elif not self._returns.clean_and_take_back(slot, request):
            return
        owner.forget(request)

    def reassign(self, owner: Owner, holder: Holder) -> None:
        """Make another holder the one whose end reclaims an owner's connection."""
        if owner.request is not None and owner.request.held is not None and process.is_current(self._process):
            self._lock.run(self._state.reassign, owner.request, holder)

    def _watch_over(self, slot: Slot, holder: Holder) -> None:
        """Watch for the end of a holder, and plan the housekeeper's next look at the slot that it was lent."""
        holder.watch()
        if holder.poll_end is not None:
            self._wake_by(slot.since + HOLDER_POLL_INTERVAL)
        if self._upkeep.look_after != math.inf:
            self._wake_by(slot.since + self._upkeep.look_after)

    def count_pins(self, kinds: Iterable[StateKind], request: Request | None = None) -> None:
        """Count that a connection stays with its holder, for session state of these kinds.

        :param request: the holder's, for the use by task.
        """
        with contextlib.suppress(ReentryError):  # In a finalizer, in the middle of the pool's own work.
            self._lock.run(self._state.count_pins, kinds, request)

    # Operating: close, resize, numbers

    def close(self, timeout: float = 5.0) -> None:
        """Close the idle connections, and those in use when they come back; send the waiters away.

        Does nothing to a pool that is closed, or that is the parent process's.

        :param timeout: how many seconds to wait, at most, until the server has let go of the idle connections.
        """
        if self.closed:
            return
        evicted = self._lock.run(self._state.close, self._refusals.closed)
        closed = threading.Semaphore(0)

        def close(slot: Slot) -> None:
            try:
                self._closer.close(slot)
            finally:
                closed.release()

        for slot in evicted:
            self._closer.start(close, slot)
        self._housekeeper.wake()
        deadline = time.monotonic() + timeout
        for _ in evicted:
            closed.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def resize(self, limit: int) -> None:
        """Change MAX_CONNS: at once upwards, downwards as connections come back.

        :raises InvalidOption: for anything but a whole number of at least 1 and MIN_CONNS.
        """
        options = dataclasses.replace(self.options, MAX_CONNS=limit)
        self.options = options
        self._closer.close_soon(*self._lock.run(self._state.resize, options))

    def stats(self) -> PoolStats:
        """Return the pool's numbers of this moment."""
        return self._lock.run(snapshots.snapshot, self._state)

    def use_by_task(self) -> list[TaskUse]:
        """Return the use by task (in a web process, by view) since the pool was made, the longest held first."""
        return self._lock.run(snapshots.use_by_task, self._state)

    def holders(self) -> list[HeldConnection]:
        """Return who holds connections now, the longest holder first."""
        return snapshots.held_connections(self._lock.run(self._state.in_use), self.driver, time.monotonic())

    def close_idle(self) -> int:
        """Close all idle connections, MIN_CONNS or not, without waiting; return how many."""
        evicted = self._lock.run(lambda: self._state.evict_idle(list(self._state.idle), "surplus"))
        self._closer.close_soon(*evicted)
        return len(evicted)

    # Housekeeping

    def wake(self) -> None:
        """Wake the housekeeper, as a holder or an owner is gone. May be called from anywhere."""
        if process.is_current(self._process):  # Else a forked child drops what it inherited.
            self._housekeeper.wake()

    def _wake_by(self, when: float) -> None:
        if when < self._wakes_at and green.is_in_main_hub():
            self._wakes_at = when
            self._housekeeper.wake()

    def _keep_house(self) -> float | None:
        """Do what is due; return the seconds until more is: None for unknown, a negative number for never."""
        if not process.is_current(self._process):
            return -1  # The parent's housekeeper, forked along as a greenlet.
        due = self._lock.run(self._begin_due_work)
        self._predecessors.wake_successor()
        self._closer.close_soon(*due.to_close)
        for slot in due.to_renew:
            self._closer.start(self._renew, slot)
        if due.to_look is not None:
            self._closer.start(self._look_over, due.to_look)
        for who in due.abandoned:
            self._alarms.warn_of_abandoned(who)
        for who, stack in due.overdue:
            self._alarms.warn_of_leak(who, self.options.LEAK_WARNING_AFTER, stack)
        self._wakes_at = min(self._wakes_at, self._alarms.report(due.observed))
        if self._predecessors.is_drained:
            self._predecessors.wake_successor()  # The last connection may have gone since.
            return -1
        return None if self._wakes_at == math.inf else max(0.0, self._wakes_at - time.monotonic())

    def _begin_due_work(self) -> Due:
        """Do what is due in memory, and return the rest. Called under the lock."""
        due, self._wakes_at = begin_due_work(
            self._state, self._upkeep, self._alarms, self._returns.deferred, self._refusals.closed
        )
        return due

    def _renew(self, slot: Slot) -> None:
        """Replace an idle connection that has lived long enough."""
        self._use_idle(slot, lambda: self._connector.replace(slot, "lifetime"))

    def _look_over(self, slot: Slot) -> None:
        """Read the server's session list over an idle connection."""
        self._use_idle(slot, lambda: self._lookout.look_if_due(slot.connection), is_look=True)

    def _use_idle(self, slot: Slot, use: Callable[[], bool | None], *, is_look: bool = False) -> None:
        """Take an idle connection, use it, and put it back, or close it for others if that returns True."""
        request = self._state.renewal_request
        try:
            if not self._lock.run(functools.partial(self._state.begin_to_renew, slot, is_look=is_look)):
                return
            is_yielded = use()
            self._returns.put_back(slot, request, "yielded" if is_yielded else None)
        except self.driver.error:
            logger.debug('Pool "%s": an idle connection could not be used', self.name, exc_info=True)
            self._returns.put_back(slot, request, "broken")
        except BaseException:
            self._returns.put_back(slot, request, "broken")
            raise
