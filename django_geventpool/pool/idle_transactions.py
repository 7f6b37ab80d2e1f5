"""IDLE_IN_TRANSACTION_WARNING_AFTER: transactions that are open and do nothing."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from traceback import StackSummary

from . import stack
from .driver import Driver, Use
from .holder import Holder
from .kinship import innermost_frame
from .slot import Request, Slot
from .state import PoolState

#: Into how many parts the time is divided, at whose ends the connections are looked at: so the warning comes at most so
#: much later, and two looks tell that nothing was sent in between.
_PARTS = 4
#: The longest pause between two looks, in seconds.
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class IdleTransaction:
    """A transaction that has done nothing for too long."""

    #: The name of its holder: that of the task, or else of the greenlet or thread.
    who: str
    #: For how long it was seen to do nothing.
    seconds: float
    holder: Holder

    def place(self) -> StackSummary:
        """Return where the holder is now: its frames of the user's code, the innermost first; empty if it has ended."""
        running = None if self.holder.runner is None else self.holder.runner()
        threads = sys._current_frames()  # noqa: SLF001
        return stack.summary_of(None if running is None else innermost_frame(running, threads))


@dataclass
class _Seen:
    """What a look at a lent connection has shown."""

    request: Request
    use: Use
    #: Since when its transaction was seen to do nothing (monotonic seconds); None while it does something.
    since: float | None
    #: Whether the transaction was warned of.
    is_told: bool


def pause(after: float | None) -> float:
    """Return how many seconds may lie between two looks, given the option; infinite for None."""
    return math.inf if after is None else min(after / _PARTS, _LONGEST_PAUSE)


class IdleTransactions:
    """Finds the transactions that do nothing. The housekeeper looks now and then, so checkouts and queries pay nothing.

    :param driver: says what the connections are doing.
    :param state: the pool's.
    """

    def __init__(self, driver: Driver, state: PoolState) -> None:
        self._driver = driver
        self._state = state
        self._seen: dict[Slot, _Seen] = {}
        #: When to look again (monotonic seconds); infinite while nothing is lent.
        self.due_at = math.inf

    def observe(self, now: float) -> list[IdleTransaction]:
        """Return the transactions to warn of, each once. Called under the pool's lock."""
        after = self._state.options.IDLE_IN_TRANSACTION_WARNING_AFTER
        if after is None or now < self.due_at < math.inf:
            return []
        self._seen = {slot: self._look(slot, request, now) for slot, request in self._state.in_use()}
        is_any_lent = any(slot.request is not None for slot in self._state.slots)  # Or is being connected.
        self.due_at = now + pause(after) if is_any_lent else math.inf
        found = []
        for slot, seen in self._seen.items():
            if seen.since is not None and not seen.is_told and seen.since + after <= now:
                seen.is_told = True
                found.append(IdleTransaction(slot.who(), now - seen.since, seen.request.holder))
        return found

    def _look(self, slot: Slot, request: Request, now: float) -> _Seen:
        status, use = self._driver.state(slot.connection), self._driver.use(slot.connection)
        last = self._seen.get(slot)
        # Transactions that end and begin between two looks by statements of the user's own count as one.
        if last is None or last.request is not request or last.use.ended != use.ended or status == "idle":
            last = None
        since = None
        if status == "idle in transaction":
            since = last.since if last is not None and last.use == use and last.since is not None else now
        return _Seen(request, use, since, last is not None and last.is_told)
