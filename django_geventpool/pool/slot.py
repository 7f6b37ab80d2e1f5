"""The two small records that the pool keeps: a slot for each server connection, a request for each who wants one."""

from __future__ import annotations

import enum
import itertools
import threading
import time
from traceback import StackSummary
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .holder import Holder
    from .statistics import Reason

_tickets = itertools.count()


class State(enum.Enum):
    """What a slot's connection is doing."""

    CONNECTING = "connecting"
    IN_USE = "in use"
    IDLE = "idle"
    CLOSING = "closing"


class Slot:
    """Room for one server connection, from before it is opened until the server has let go of it."""

    __slots__ = ("connection", "counts", "expires_at", "holder", "label", "reason", "since", "stack", "state", "warned")

    def __init__(self) -> None:
        self.state = State.CONNECTING
        self.connection: Any = None
        #: Why the connection is closed, while it is.
        self.reason: Reason | None = None
        #: When the connection has lived long enough (monotonic seconds); None for never.
        self.expires_at: float | None = None
        #: Since when it is lent, idle or closing (monotonic seconds).
        self.since = 0.0
        self.holder: Holder | None = None
        self.label: object | None = None
        #: Where the holder took the connection; only with LEAK_WARNING_AFTER.
        self.stack: StackSummary | None = None
        self.warned = False
        #: Whether it was lent with a connection: a checkout, even if that proves to be lost.
        self.counts = False

    def lend(self, request: Request, now: float) -> None:
        """Note who has the slot from now on."""
        self.counts = self.connection is not None
        self.state = State.IN_USE if self.counts else State.CONNECTING
        self.holder = request.holder
        self.label = request.label
        self.stack = request.stack
        self.since = now
        self.warned = False

    def who(self) -> str:
        """Name the holder: its task, or else its greenlet or thread."""
        if self.label is not None:
            try:
                return str(self.label)
            except Exception:  # noqa: BLE001  a label is somebody else's code, and this is for messages
                return f"<{type(self.label).__name__}>"
        return "nobody" if self.holder is None else self.holder.name

    def __repr__(self) -> str:
        return f"<Slot {self.state.value}>"


class Request:
    """One holder's wish for a connection, and what came of it.

    :param holder: who asks.
    :param label: names the task that asks, None where there is none.
    :param timeout: how many seconds to wait at the most; None for as long as it takes.
    :param stack: where the connection is asked for, None if nobody wants to know.
    :param is_urgent: whether it goes before all that are not.
    """

    __slots__ = (
        "deadline",
        "error",
        "gate",
        "holder",
        "label",
        "refused",
        "since",
        "slot",
        "stack",
        "ticket",
        "timeout",
    )

    def __init__(
        self,
        holder: Holder,
        label: object | None,
        timeout: float | None,
        stack: StackSummary | None = None,
        *,
        is_urgent: bool = False,
    ) -> None:
        self.holder = holder
        self.label = label
        self.timeout = timeout
        self.stack = stack
        self.deadline = None if timeout is None else time.monotonic() + timeout
        #: The order of asking; a request that must wait again keeps its place.
        self.ticket = (not is_urgent, next(_tickets))
        self.gate: threading.Lock | None = None
        #: When it first began to wait (monotonic seconds); None if it didn't, or that is recorded.
        self.since: float | None = None
        self.slot: Slot | None = None
        self.error: Exception | None = None
        #: The error of a server that was full, if it was.
        self.refused: BaseException | None = None

    def is_late(self, now: float) -> bool:
        """Tell whether the time to wait is over."""
        return self.deadline is not None and self.deadline <= now

    def close_gate(self) -> None:
        """Get ready to wait for an answer."""
        self.slot = self.error = None
        if self.since is None:
            self.since = time.monotonic()
        self.gate = threading.Lock()
        self.gate.acquire()

    def wait(self, is_watched: bool) -> None:
        """Wait for an answer.

        :param is_watched: whether a housekeeper answers when the time is over. A timer for each wait costs more.
        """
        assert self.gate is not None
        if is_watched or self.deadline is None:
            self.gate.acquire()
        else:
            left = max(0.0, self.deadline - time.monotonic())
            self.gate.acquire(timeout=min(left, threading.TIMEOUT_MAX))

    def answer(self, slot: Slot | None = None, error: Exception | None = None) -> None:
        """Wake the waiter with a slot or an error, or nothing when its time is over.

        Called under the pool's lock, once for each wait.
        """
        self.slot = slot
        self.error = error
        assert self.gate is not None
        self.gate.release()
