"""What a pool warns about in the log."""

from __future__ import annotations

import logging
import math
import time
import traceback
from dataclasses import dataclass, field, replace

from . import messages
from .abandoned import Abandoned
from .driver import Driver
from .housekeeper import log_in_background
from .idle_transactions import IdleTransaction, IdleTransactions
from .idle_watch import IdleWatch
from .nested import Nested, Scene, Standstill, holder_above
from .slot import Request
from .snapshots import snapshot
from .state import PoolState

logger = logging.getLogger("geventpool.pool")

#: After how long a wait for a connection the log says so, in seconds.
WAIT_WARNING_AFTER = 5.0
#: How long nothing more is said of waits, in seconds.
WAIT_WARNING_PAUSE = 60.0
#: How long further holders of one kind that end without giving back are only counted, in seconds.
ABANDONED_WARNING_PAUSE = 60.0


@dataclass(frozen=True)
class Observed:
    """What ``observe`` has found for ``report``."""

    #: Who holds and who waits, if nothing has moved for a while.
    scene: Scene | None
    #: What to say of the longest wait, None if nothing.
    wait: str | None = None
    #: What to say of a task that holds connections idle while others wait, None if nothing.
    idle: str | None = None
    #: Transactions that are open and have done nothing for too long.
    idle_transactions: list[IdleTransaction] = field(default_factory=list)


class Alarms:
    """The warnings of one pool.

    :param name: the pool's alias.
    :param driver: says what the connections are doing.
    :param state: the pool's.
    """

    def __init__(self, name: str, driver: Driver, state: PoolState) -> None:
        self._name = name
        self._driver = driver
        self._state = state
        #: When waits, and standstills, may be warned about again (monotonic seconds).
        self._wait_quiet_until = self._nested_quiet_until = -math.inf
        self._nested = Nested(driver)
        self._idle_transactions = IdleTransactions(driver, state)
        self._idle_watch = IdleWatch(driver, state)
        self._abandoned = Abandoned(ABANDONED_WARNING_PAUSE)

    # Called under the pool's lock

    def due_at(self, since: float | None) -> float:
        """Return when to observe again (monotonic seconds), given since when somebody has waited; infinite for None."""
        if since is None:
            return self._idle_transactions.due_at
        nested, idle = self._nested.due_at(since), self._idle_watch.due_at(since)
        return min(self._wait_due_at(since), nested, idle, self._idle_transactions.due_at)

    def observe(self, now: float) -> Observed:
        """Return what ``report`` is to warn of or look into, and mark it as told until the next pause ends."""
        since = self._state.waiting_since()
        scene = self._nested.observe(self._state, now)
        observed = Observed(
            scene, idle=self._idle_watch.look(now), idle_transactions=self._idle_transactions.observe(now)
        )
        if since is None or self._wait_due_at(since) > now:
            return observed
        self._wait_quiet_until = now + WAIT_WARNING_PAUSE
        what_to_do = messages.of_full(self._state, self._driver, self._nested.current(now))
        return replace(observed, wait=f"{now - since:.1f} s: {snapshot(self._state)}. {what_to_do}")

    def advise(self, request: Request) -> str:
        """Return what to do about a request whose time is over, in words."""
        standstill = self._nested.met_by(request, time.monotonic())
        return messages.of_full(self._state, self._driver, standstill, holder_above(request, self._state))

    def _wait_due_at(self, since: float) -> float:
        return max(since + WAIT_WARNING_AFTER, self._wait_quiet_until)

    # Called without it

    def report(self, observed: Observed) -> float:
        """Warn of what was observed; return when there will be more to say (monotonic seconds)."""
        if observed.wait is not None:
            text = 'Pool "%s": somebody has waited for a connection for %s'
            log_in_background(logger.warning, text, self._name, observed.wait)
        if observed.idle is not None:
            log_in_background(logger.warning, 'Pool "%s": %s.', self._name, observed.idle)
        if observed.scene is not None and (standstill := self._nested.judge(observed.scene)) is not None:
            self._warn_of_nested(standstill)
        for transaction in observed.idle_transactions:
            self._warn_of_idle_transaction(transaction)
        for number, last in self._abandoned.pop_due(time.monotonic()):
            self._warn_of_more_abandoned(number, last)
        return self._abandoned.due_at()

    def _warn_of_nested(self, standstill: Standstill) -> None:
        if standstill.seen >= self._nested_quiet_until:
            self._nested_quiet_until = standstill.seen + WAIT_WARNING_PAUSE
            what_to_do = messages.of_nested(standstill, self._state.options.POOL_MODE)
            log_in_background(logger.warning, 'Pool "%s" stands still: %s', self._name, what_to_do)

    def _warn_of_idle_transaction(self, transaction: IdleTransaction) -> None:
        log_in_background(
            logger.warning,
            'Pool "%s": %s has done nothing in its open transaction for %.1f s (IDLE_IN_TRANSACTION_WARNING_AFTER is '
            "%s s). Until it ends, it keeps its connection and its locks, and the server can't remove old rows. It is "
            "here:\n%s",
            self._name,
            transaction.who,
            transaction.seconds,
            self._state.options.IDLE_IN_TRANSACTION_WARNING_AFTER,
            "".join(traceback.format_list(reversed(transaction.place()))),
        )

    def _warn_of_more_abandoned(self, number: int, last: str) -> None:
        log_in_background(
            logger.warning,
            'Pool "%s": %s since then without giving a connection back, the last of them %s.',
            self._name,
            f"{number} more ended",
            last,
        )

    def warn_of_abandoned(self, who: str) -> None:
        """Warn that a holder ended without giving back: the first of a kind at once, the others by number."""
        if self._abandoned.record(who):
            log_in_background(
                logger.warning,
                'Pool "%s": %s ended without giving its connection back; it was closed, and the next one costs a '
                "connect. Greenlets and threads that your code starts need close_connection.",
                self._name,
                who,
            )

    def warn_of_leak(self, who: str, after: float | None, stack: traceback.StackSummary | None) -> None:
        """Warn that a connection is held for longer than LEAK_WARNING_AFTER."""
        log_in_background(
            logger.warning,
            'Pool "%s": %s has held a connection for more than LEAK_WARNING_AFTER (%s s). It was taken here:\n%s',
            self._name,
            who,
            after,
            "".join(traceback.format_list(reversed(stack))) if stack else "",
        )
