"""The two small records that the pool keeps: a slot for each server connection, a request for each demand for one."""

from __future__ import annotations

import contextvars
import enum
import itertools
import math
import threading
import time
from collections.abc import Callable
from traceback import StackSummary
from typing import Any, Protocol

from .. import green
from ..text import printable
from .counters import Reason
from .holder import Holder

_tickets = itertools.count()

#: How often a waiter runs the housekeeping itself where no housekeeper does, in seconds.
UNWATCHED_POLL_INTERVAL = 0.5

#: How long a connect holds up others that wait for what it will say of the server, in seconds.
SLOW_CONNECT = 1.0

#: How many characters of a holder's name are shown: enough for the id at the end of a task's.
_LENGTH_OF_NAME = 500


class State(enum.Enum):
    """What a slot's connection is doing."""

    CONNECTING = "connecting"
    IN_USE = "in use"
    IDLE = "idle"
    CLOSING = "closing"


class Owner(Protocol):
    """The object on whose behalf a holder asks, see ``owner.py``."""

    #: Its latest request that is not over.
    request: Request | None

    @property
    def is_gone(self) -> bool:
        """Whether the object is gone."""

    def ask(self, request: Request, tell: Callable[[], object]) -> None:
        """Record a request, and what to call at the object's end."""


class Slot:
    """Room for one server connection, from before it is opened until the server has let go of it.

    ``state`` is authoritative: the pool's ``by_connection`` and ``idle`` follow from it, and ``repair.py`` rebuilds
    them after an interruption. So it is set last when a slot is lent, and first when it is taken back.
    """

    __slots__ = (
        "connection",
        "expires_at",
        "is_being_closed",
        "is_look",
        "is_overdue",
        "reason",
        "request",
        "since",
        "state",
        "used_since",
        "was_lent_open",
    )

    def __init__(self, request: Request | None) -> None:
        self.state = State.CONNECTING
        #: The request that has it, while it is lent.
        self.request: Request | None = request
        self.connection: Any = None
        #: Why the connection is being closed, while it is.
        self.reason: Reason | None = None
        #: Whether somebody is closing it.
        self.is_being_closed = False
        #: When the connection has lived long enough (monotonic seconds); None for never.
        self.expires_at: float | None = None
        #: Since when it is lent, idle or closing (monotonic seconds).
        self.since = 0.0
        #: Since when the pool itself has used the idle connection (monotonic seconds), and whether to read the server's
        #: session list; of no meaning after that.
        self.used_since, self.is_look = 0.0, False
        #: Whether it was found to be held for longer than LEAK_WARNING_AFTER; the log says so once.
        self.is_overdue = False
        #: Whether it was lent with a connection: a checkout, even if the connection proves to be lost.
        self.was_lent_open = False

    def lend_to(self, request: Request, now: float) -> None:
        """Record that a request has the slot."""
        request.slot = self
        self.request = request
        self.since = now
        self.is_overdue = False
        self.was_lent_open = self.connection is not None
        self.state = State.IN_USE if self.was_lent_open else State.CONNECTING

    def is_stalled(self, now: float) -> bool:
        """Return whether its connect, or the pool's own use of it, takes so long that it may never end.

        Others need not wait for that.
        """
        return self.state is State.CONNECTING and max(self.since, self.used_since) + SLOW_CONNECT <= now

    def is_lent_to(self, request: Request) -> bool:
        """Return whether a request has the slot now."""
        return self.request is request and self.state in _LENT

    @property
    def holder(self) -> Holder | None:
        """The greenlet or thread that has it, None if nobody has."""
        return None if self.request is None else self.request.holder

    @property
    def is_abandoned(self) -> bool:
        """Whether its holder or owner is gone, and nobody is giving it back."""
        request = self.request
        if request is None or self.state not in _LENT:
            return False
        owner = request.owner
        is_orphaned = request.holder.is_gone or (owner is not None and (owner.is_gone or owner.request is not request))
        return is_orphaned and not request.is_coming_back

    def who(self) -> str:
        """Return the name of the holder, in one line: that of its task, or else of its greenlet or thread."""
        if self.request is None:
            return "nobody"
        label = self.request.label
        if label is not None:
            try:
                return printable(str(label), _LENGTH_OF_NAME)
            except Exception:  # noqa: BLE001  a label is somebody else's code, and this is for messages
                return f"<{type(label).__name__}>"
        return printable(self.request.holder.name, _LENGTH_OF_NAME)

    def __repr__(self) -> str:
        return f"<Slot {self.state.value}>"


_LENT = (State.IN_USE, State.CONNECTING)


class Request:
    """One holder's demand for a connection, and what came of it.

    If it has to wait, it is answered (the wait is over, with a slot or without). Then the holder receives the slot, and
    is served once the slot's connection is ready. If the server is full, this begins again.

    :param holder: who asks.
    :param label: names the task that asks, None where there is none.
    :param timeout: how many seconds to wait at the most; None for as long as it takes.
    :param stack: where the connection is asked for, None if that isn't recorded.
    :param owner: on whose behalf the holder asks; None if only the end of the holder reclaims the connection.
    :param is_urgent: whether it goes before all that are not.
    :param timeout_source: what sets the timeout, in words.
    """

    __slots__ = (
        "deadline",
        "error",
        "full_error",
        "gate",
        "holder",
        "is_answered",
        "is_first",
        "is_received",
        "is_served",
        "label",
        "owner",
        "return_guard",
        "since",
        "slot",
        "stack",
        "ticket",
        "timeout",
        "timeout_source",
        "waited_from",
        "waking_thread",
    )

    def __init__(
        self,
        holder: Holder,
        label: object | None,
        timeout: float | None,
        stack: StackSummary | None = None,
        *,
        owner: Owner | None = None,
        is_urgent: bool = False,
        timeout_source: str = "CONN_WAIT_TIMEOUT",
    ) -> None:
        self.holder = holder
        self.label = label
        self.timeout = timeout
        self.timeout_source = timeout_source
        self.stack = stack
        self.owner = owner
        self.deadline = None if timeout is None else time.monotonic() + timeout
        #: The order of asking; a request that must wait again keeps its place.
        self.ticket = (not is_urgent, next(_tickets))
        self.gate: threading.Lock | None = None
        #: The only native thread that can wake it; None if any can.
        self.waking_thread: int | None = None
        #: Whether its wait is over: it was given a slot, or an error, or its time is over.
        self.is_answered = False
        #: Whether nobody waited when it was queued.
        self.is_first = False
        #: When it first began to wait (monotonic seconds); None if it didn't, or that is recorded.
        self.since: float | None = None
        #: The same, until the wait was reported.
        self.waited_from: float | None = None
        #: The slot assigned last; ``held`` says whether it is still this request's.
        self.slot: Slot | None = None
        #: Whether the holder has received the slot.
        self.is_received = False
        #: Whether the slot's connection is ready, and goes to the caller.
        self.is_served = False
        #: Entered by whoever gives the slot back: one at a time, and left however that ends, as the pool's lock is.
        self.return_guard = contextvars.Context()
        self.error: Exception | None = None
        #: The error of the full server that refused it last; None if none did.
        self.full_error: BaseException | None = None

    @property
    def held(self) -> Slot | None:
        """The slot that the request still has; None if none."""
        slot = self.slot
        return slot if slot is not None and slot.is_lent_to(self) else None

    @property
    def is_coming_back(self) -> bool:
        """Whether somebody is giving its slot back."""
        try:
            # `bool` takes one step in C: no interruption leaves the guard entered, and nobody finds it so by this call.
            self.return_guard.run(bool)
        except RuntimeError:
            return True
        return False

    def has_expired(self, now: float) -> bool:
        """Return whether the time to wait is over."""
        return self.deadline is not None and self.deadline <= now

    def close_gate(self) -> None:
        """Get ready to wait for an answer."""
        self.slot = self.error = None
        self.is_received = self.is_answered = False
        if self.since is None:
            self.since = time.monotonic()
        if self.waited_from is None:
            self.waited_from = self.since
        self.gate = threading.Lock()
        self.gate.acquire()
        self.waking_thread = green.waking_thread()

    def wait_or_poll(self, is_watched: bool) -> bool:
        """Wait for an answer; return whether the wait is over. If not, run the housekeeping, and call this again.

        :param is_watched: whether a housekeeper answers when the time is over. A timer for each wait costs more.
        """
        assert self.gate is not None
        if is_watched:
            return self.gate.acquire()
        left = math.inf if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        return (
            self.gate.acquire(timeout=min(left, UNWATCHED_POLL_INTERVAL))
            or self.is_answered
            or left <= UNWATCHED_POLL_INTERVAL
        )

    def answer(self, error: Exception | None = None) -> bool:
        """End the wait: the request has a slot by now, or gets an error, or nothing as its time is over.

        Called under the pool's lock.

        :return: whether the waiter can be woken from here.
        """
        self.error = error
        self.is_answered = True
        return self.wake()

    def wake(self) -> bool:
        """Wake the waiter, which has been answered; False if it can't be woken from here."""
        if self.waking_thread is not None and self.waking_thread != green.waking_thread():
            return False
        assert self.gate is not None
        if self.gate.locked():
            self.gate.release()
        return True
