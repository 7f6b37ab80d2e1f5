"""Which addresses have not answered a moment ago, so that not each connect waits for them again.

Only the order changes: an address that did not answer is tried after all others. Now and then one connect tries it in
its turn, and once it answers, in whatever way, so do all.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .patience import Attempt, never
from .server import is_answer

T = TypeVar("T")

#: How long an attempt must have lasted to say something, in seconds: libpq's shortest timeout. A refusal comes at once,
#: and so costs the next connect nothing.
SLOW = 2.0
#: Time between two attempts in its turn, in seconds, as in pgJDBC; longer where each takes longer, by this factor: so
#: of all connections, one is lost to it for half of the time at the most.
RETRY_AFTER = 10.0
_RETRY_FACTOR = 2.0
#: For how long an address that nobody tries any more is remembered, in seconds: names change their addresses.
_FORGET_AFTER = 600.0


@dataclass
class _Death:
    """What is known of an address that did not answer."""

    #: When that was found (monotonic seconds).
    found_at: float
    #: When to try it in its turn again (monotonic seconds).
    retry_at: float
    #: The time from one such attempt to the next (seconds).
    pause: float


class DeadHosts:
    """What one pool's connects have found.

    Threads may use it at the same time: the worst that comes of it is one more attempt.

    :param clock: monotonic seconds.
    :param connect_error: what the driver raises when it can't connect. All else is an interruption, whatever its class.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, connect_error: type[Exception] = Exception) -> None:
        self._clock = clock
        self._connect_error = connect_error
        self._deaths: dict[Hashable, _Death] = {}

    def in_order(self, targets: Iterable[T], address: Callable[[T], Hashable]) -> Iterator[tuple[T, bool]]:
        """Yield what to try, one after the other, and whether it is a last resort.

        :param targets: in the order in which they are to be tried; each is asked for when it is its turn.
        """
        last = []
        for target in targets:
            if self._begin_if_due(address(target)):
                yield target, False
            else:
                last.append(target)
        for target in last:
            yield target, True

    def _begin_if_due(self, address: Hashable) -> bool:
        """Return whether to try an address in its turn; one that is dead, only this time."""
        death, now = self._deaths.get(address), self._clock()
        if death is None:
            return True
        if now < death.retry_at:
            return False
        death.retry_at = now + death.pause
        return True

    @contextlib.contextmanager
    def attempt(self, address: Hashable, *, may_give_up: bool = True) -> Iterator[Attempt]:
        """Record what becomes of an attempt.

        One that is interrupted after a while without any answer tells as much as one whose time is over: else nobody
        would find out where tasks have less time than a connect.

        :param may_give_up: whether it may end once another has found that the address is dead.
        """
        began = self._clock()

        def is_dead() -> bool:
            death = self._deaths.get(address)
            return death is not None and death.found_at > began

        attempt = Attempt(is_dead if may_give_up else never)
        try:
            yield attempt
        except BaseException as error:
            if attempt.is_answered:
                self._deaths.pop(address, None)
            elif not is_dead():
                self._record_failure(address, self._clock() - began, error)
            raise
        self._deaths.pop(address, None)

    def _record_failure(self, address: Hashable, lasted: float, error: BaseException) -> None:
        is_failure = isinstance(error, self._connect_error)
        if lasted < SLOW or (is_failure and is_answer(str(error))):
            if is_failure:
                self._deaths.pop(address, None)
            return
        now = self._clock()
        pause = max(RETRY_AFTER, _RETRY_FACTOR * lasted)
        # In a copy, as other threads may be at it.
        known = list(self._deaths.items())
        self._deaths = {other: death for other, death in known if now < death.retry_at + _FORGET_AFTER}
        self._deaths[address] = _Death(now, now + pause, pause)
