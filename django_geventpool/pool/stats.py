"""The pool's numbers, as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .counters import Counters, HistogramSnapshot, Reason, StateKind
from .driver import ConnectionState
from .fleet.view import FleetView
from .metric import Metric, metric


@dataclass(frozen=True, kw_only=True)
class PoolStats:
    """A snapshot of one pool; counters and times are those since the pool was made.

    Its fields declare the pool's metrics. To add one, declare it here, and count it: ``counters.count(name)``, or
    ``counters.histograms[name].record(seconds)``, or for one that is kept by task, in ``use_by_task.Row``; a gauge is
    measured in ``snapshots.snapshot``. Remote commands and exporters show all of them by themselves.

    ``size`` is ``in_use + idle + connecting + closing``: a connection counts until the server has let go of it.
    """

    limit: int = metric("gauge", "connection", "Hard limit of server connections")
    size: int = metric("gauge", "connection", "Server connections, by state", label="state")
    in_use: int = metric("gauge", "connection", "Lent to greenlets or threads", part_of="size")
    idle: int = metric("gauge", "connection", "Open, and waiting for work", part_of="size")
    waiting: int = metric("gauge", "request", "Greenlets or threads that wait for a connection")
    longest_wait: float = metric("gauge", "s", "For how long the first of them has waited")
    connecting: int = metric("gauge", "connection", "Being opened", part_of="size")
    closing: int = metric("gauge", "connection", "Being closed", part_of="size")
    #: Who has held a connection for longest, None when nobody holds one.
    longest_holder: str | None
    longest_held: float = metric("gauge", "s", "For how long the longest holder has had its connection")

    #: Seconds since connecting failed, unless it has succeeded since, or the server was only full; None if it hasn't.
    connect_failed_ago: float | None = None

    #: By the last look at the server's session list, 0 if there was none: a pool looks only when it may have to share.
    fleet_limit: int = metric(
        "gauge", "connection", "What this pool and those of other processes may have together, by the server's limits"
    )
    fleet_share: int = metric("gauge", "connection", "This pool's fair share of that")
    #: What that look has shown; None if there was none, or the list can't be read.
    fleet: FleetView | None = None
    #: Whether the list can be read; None until that was tried.
    is_fleet_readable: bool | None = None

    checkouts: int = metric("counter", "checkout", "Connections lent")
    waits: int = metric("counter", "request", "Requests that had to wait, and are served or gave up")
    timeouts: int = metric("counter", "timeout", "Requests that got no connection in time")
    reclaimed: int = metric(
        "counter", "connection", "Connections taken back from holders that ended without giving them back"
    )
    cancelled: int = metric("counter", "query", "Queries cancelled because whoever ran them was interrupted")
    connects: int = metric("counter", "connection", "Connections opened")
    #: Those that a full server refused, too.
    failed_connects: int = metric("counter", "attempt", "Attempts to connect that failed")
    reconnects: int = metric("counter", "connection", "Connections opened in the place of one that was lost while idle")
    closed: Mapping[Reason, int] = metric("counter", "connection", "Connections closed, by reason", label="reason")

    pinned: Mapping[StateKind, int] = metric(
        "counter", "connection", "Connections kept for session state, by kind, in mode transaction", label="kind"
    )

    wait_time: HistogramSnapshot = metric(
        "histogram", "s", "How long requests waited that were not served at once", is_by_task=True
    )
    use_time: HistogramSnapshot = metric("histogram", "s", "How long connections were held", is_by_task=True)
    create_time: HistogramSnapshot = metric("histogram", "s", "How long it took to connect")

    @classmethod
    def of(cls, counters: Counters, *, lent: int, **measured: Any) -> PoolStats:
        """Return a snapshot of what was counted, and of what was measured just now.

        :param lent: how many checkouts have not come back yet.
        :param measured: the gauges, by name.
        """
        numbers = {**counters.read(), **measured}
        numbers["waits"] = numbers["wait_time"].count
        numbers["checkouts"] = numbers["use_time"].count + lent
        return cls(**numbers)

    def __str__(self) -> str:
        text = f"limit {self.limit}, in use {self.in_use}, idle {self.idle}, waiting {self.waiting}"
        for count, name in ((self.connecting, "connecting"), (self.closing, "closing")):
            if count:
                text += f", {name} {count}"
        if self.longest_holder is not None:
            text += f", longest holder {self.longest_holder} for {self.longest_held:.1f} s"
        return text


METRICS = tuple(Metric(each.name, **each.metadata) for each in fields(PoolStats) if each.metadata)


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
