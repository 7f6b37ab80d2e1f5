"""The pool's numbers, as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .counters import Counters, Reason, Times
from .driver import ConnectionState


@dataclass(frozen=True)
class PoolStats:
    """A snapshot of one pool; counters and times are those since the pool was made.

    ``size`` is ``in_use + idle + connecting + closing``: a connection counts until the server has let go of it.
    """

    #: Hard limit of server connections.
    limit: int
    #: Connections that the server may count.
    size: int
    #: Lent to greenlets or threads.
    in_use: int
    #: Open, and waiting for work.
    idle: int
    #: Being opened.
    connecting: int
    #: Being closed.
    closing: int
    #: Greenlets or threads that wait for a connection.
    waiting: int
    #: Who has held a connection for longest, None when nobody holds one.
    longest_holder: str | None
    #: For how long, in seconds.
    longest_held: float
    #: Connections lent.
    checkouts: int
    #: Requests that had to wait, and are served or gave up.
    waits: int
    #: Requests that got nothing in time.
    timeouts: int
    #: Connections opened.
    connects: int
    #: Attempts to connect that failed, also those that a full server refused.
    failed_connects: int
    #: Connections opened in the place of one that was lost while idle.
    reconnects: int
    #: Connections taken back from greenlets or threads that ended without giving them back.
    reclaimed: int
    #: Queries that the server was asked to stop, because whoever ran them was interrupted.
    cancelled: int
    #: Connections closed, by reason.
    closed: Mapping[Reason, int]
    #: How long those waited who had to.
    wait_time: Times
    #: How long connections were held.
    use_time: Times
    #: How long it took to connect.
    create_time: Times

    @classmethod
    def of(
        cls,
        *,
        limit: int,
        states: Mapping[str, int],
        waiting: int,
        longest_holder: str | None,
        longest_held: float,
        checkouts: int,
        counters: Counters,
    ) -> PoolStats:
        """Return a snapshot.

        :param states: how many connections are in which state.
        :param checkouts: those of the connections that are lent now; the others are in the counters.
        """
        wait_time, use_time = counters.wait.times(), counters.use.times()
        return cls(
            limit=limit,
            size=sum(states.values()),
            in_use=states.get("in_use", 0),
            idle=states.get("idle", 0),
            connecting=states.get("connecting", 0),
            closing=states.get("closing", 0),
            waiting=waiting,
            longest_holder=longest_holder,
            longest_held=longest_held,
            checkouts=use_time.count + checkouts,
            waits=wait_time.count,
            timeouts=counters.timeouts,
            connects=counters.connects,
            failed_connects=counters.failed_connects,
            reconnects=counters.reconnects,
            reclaimed=counters.reclaimed,
            cancelled=counters.cancelled,
            closed=dict(counters.closed),
            wait_time=wait_time,
            use_time=use_time,
            create_time=counters.connect.times(),
        )

    def __str__(self) -> str:
        text = f"limit {self.limit}, in use {self.in_use}, idle {self.idle}, waiting {self.waiting}"
        for count, name in ((self.connecting, "connecting"), (self.closing, "closing")):
            if count:
                text += f", {name} {count}"
        if self.longest_holder is not None:
            text += f", longest holder {self.longest_holder} for {self.longest_held:.1f} s"
        return text


@dataclass(frozen=True)
class HeldConnection:
    """A connection that is lent, and who has it."""

    #: Names the task, or the request, or else the greenlet or thread.
    holder: str
    #: What ``describe`` returned when it was taken, None where there was nothing to say.
    label: object | None
    #: For how long, in seconds.
    held: float
    #: What it is doing.
    state: ConnectionState
