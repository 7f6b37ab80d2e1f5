"""Who uses the pool, and how: times and counts by task, kept in memory for a limited number of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..text import printable
from .counters import Histogram, HistogramSnapshot
from .driver import ConnectionState
from .slot import Request, Slot

#: How many tasks are told apart; those with the least use are added up as OTHER.
LIMIT = 200
#: What is used outside of tasks and requests.
NO_TASK = ""
OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class TaskUse:
    """How one task has used a pool since the pool was made; in a web process, how one view has."""

    #: The task's name, NO_TASK for use outside of tasks, or OTHER.
    task: str
    #: How long it held connections that it has given back.
    use_time: HistogramSnapshot
    #: How long it waited, where it was not served at once.
    wait_time: HistogramSnapshot
    #: How many connections it has now, and since when the longest (seconds).
    in_use: int = 0
    longest_held: float = 0.0
    #: For how long it has held connections in all, those that it has now included (seconds).
    held: float = 0.0
    #: How many of its requests wait now.
    waiting: int = 0
    #: How many of its requests got no connection in time.
    timeouts: int = 0
    #: How many of its connections were closed because it was killed while it used them.
    killed: int = 0
    #: How many of its connections were kept for session state in mode "transaction".
    pinned: int = 0
    #: What its connections were doing when the pool looked, and how often.
    seen: Mapping[ConnectionState, int] = field(default_factory=dict)

    @property
    def checkouts(self) -> int:
        """How many connections it was lent."""
        return self.use_time.count + self.in_use

    @property
    def idle_share(self) -> float | None:
        """Which part (0 to 1) of the time that it held connections they were in no query; None if not known."""
        total = sum(self.seen.values())
        return 1 - self.seen.get("active", 0) / total if total else None


class Row:
    """What is counted of one task."""

    __slots__ = ("killed", "pinned", "seen", "timeouts", "use_time", "wait_time")

    def __init__(self) -> None:
        self.use_time = Histogram()
        self.wait_time = Histogram()
        self.timeouts = self.killed = self.pinned = 0
        self.seen: Counter[ConnectionState] = Counter()

    def add(self, other: Row) -> None:
        """Add what was counted of another task."""
        self.use_time.add(other.use_time)
        self.wait_time.add(other.wait_time)
        self.timeouts += other.timeouts
        self.killed += other.killed
        self.pinned += other.pinned
        self.seen.update(other.seen)


class _Rows(dict[str, Row]):
    """The rows by name; asked for a name that has none, they call ``make``."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[str], Row]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, name: str) -> Row:
        return self.make(name)


class UseByTask:
    """The use of one pool by task. Used under the pool's lock.

    An exception between two steps may lose or double what was being counted just then, and no more.
    """

    def __init__(self) -> None:
        self._rows = _Rows(self._make)
        self._rows[NO_TASK] = Row()

    def of(self, request: Request) -> Row:
        """Return the row of whoever made a request."""
        # Each checkout comes here.
        return self._rows[getattr(request.label, "name", None) or request.holder.starter_task]

    def name_of(self, request: Request) -> str:
        """Return the name under which a request is counted."""
        row = self.of(request)
        return next((name for name, other in self._rows.items() if other is row), OTHER)

    def _make(self, name: object) -> Row:
        """Return the row of a name that has none, or isn't fit to be shown as it is."""
        shown = printable(str(name))
        if shown not in self._rows and len(self._rows) >= LIMIT:
            self._fold()
        return self._rows.setdefault(shown, Row())

    def _fold(self) -> None:
        """Add up as OTHER the half of the tasks that have used the pool least: so this is done seldom."""
        ranked = sorted(self._rows.items(), key=lambda item: item[1].use_time.total + item[1].wait_time.total)
        rest = _Rows(self._make)
        rest.update(ranked[len(ranked) // 2 :])
        other = rest.setdefault(OTHER, self._rows.get(OTHER) or Row())
        rest.setdefault(NO_TASK, self._rows[NO_TASK])
        for name, row in ranked:
            if name not in rest:
                other.add(row)
        self._rows = rest

    def use_time(self) -> HistogramSnapshot:
        """Return how long connections were held, by all."""
        return HistogramSnapshot.sum(row.use_time.snapshot() for row in self._rows.values())

    def wait_time(self) -> HistogramSnapshot:
        """Return how long requests waited, of all."""
        return HistogramSnapshot.sum(row.wait_time.snapshot() for row in self._rows.values())

    def snapshot(self, slots: Iterable[Slot], waiting: Iterable[Request], now: float) -> list[TaskUse]:
        """Return the use by task, those that have held connections for longest first; NO_TASK is always among them.

        :param slots: those that are held now.
        :param waiting: the requests that wait now.
        :param now: monotonic seconds.
        """
        holds: dict[Row, list[float]] = {}
        for slot in slots:
            if slot.request is not None:
                holds.setdefault(self.of(slot.request), []).append(now - slot.since)
        waits = Counter(self.of(request) for request in waiting)
        found = [_snapshot(name, row, holds.get(row, []), waits[row]) for name, row in self._rows.items()]
        return sorted(found, key=lambda use: -use.held)


def _snapshot(name: str, row: Row, holds: list[float], waiting: int) -> TaskUse:
    use_time = row.use_time.snapshot()
    return TaskUse(
        task=name,
        use_time=use_time,
        wait_time=row.wait_time.snapshot(),
        in_use=len(holds),
        longest_held=max(holds, default=0.0),
        held=use_time.total + sum(holds),
        waiting=waiting,
        timeouts=row.timeouts,
        killed=row.killed,
        pinned=row.pinned,
        seen=dict(row.seen),
    )
