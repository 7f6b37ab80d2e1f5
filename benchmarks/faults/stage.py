"""Where a scenario plays: a contender's process, the server, and what stands between them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer
from servers.postgres_address import Dsn
from servers.postgres_standby import StandbyServer
from servers.process import wait_until
from servers.proxy import Proxy

from ..contenders import LIMIT
from ..fleet.watch import SessionWatch
from .contenders import PATIENCE
from .findings import Finding, Task, failed, lendable, most_connections, wrong_answers
from .subject import Subject

#: The contenders' role, and its database.
ROLE = "faults"

#: How long a query has to take so that its connection is seen among the sessions (seconds).
SEEN_SECONDS = 0.1
#: How long a query may still be seen after its end (seconds).
_GONE_SECONDS = 1.0
_SLEEPING = "state = 'active' AND query LIKE '%pg_sleep%'"
#: How many tasks at once are to succeed after a fault.
AFTERWARDS = 20
#: How long tasks may take to get a connection each after a fault (seconds).
HOLD_SECONDS = PATIENCE + 2.0


@dataclass(frozen=True)
class Stage:
    """What a scenario has to do with."""

    subject: Subject
    server: PostgresServer
    watch: SessionWatch
    pooler: PgBouncer | None = None
    #: Between the contender (or its pooler) and the server, where the scenario asks for it.
    network: Proxy | None = None
    standby: StandbyServer | None = None

    @property
    def dsn(self) -> Dsn:
        """Where others connect to as the contenders' role."""
        return {**self.server.dsn, "user": ROLE, "dbname": ROLE}

    def run(self, name: str, values: Iterable[dict[str, Any]], seconds: float = 2.0 * PATIENCE) -> list[Task]:
        """Run tasks at the same time; return what has become of them at the end, or when the time is over."""
        return self.subject.wait(self.subject.start(name, values), seconds)

    def warm_up(self) -> None:
        """Have as many connections in use at the same time as the limit allows, so that a pool has them."""
        self.run("query", [{"seconds": 0.3}] * LIMIT)

    def hold(self, seconds: float = HOLD_SECONDS) -> tuple[list[int], int]:
        """Start tasks that hold a connection each; return them, and how many have one when no more come."""
        numbers = self.subject.start("hold", [{}] * LIMIT)
        wait_until(lambda: self.sessions("state = 'idle in transaction'") >= LIMIT, seconds)
        return numbers, min(LIMIT, self.sessions("state = 'idle in transaction'"))

    def release(self, numbers: list[int]) -> None:
        """Let these tasks go, and wait for their ends."""
        self.subject.ask("release")
        self.subject.wait(numbers, PATIENCE)

    def start_queries(self, count: int = LIMIT, seconds: float = 30, time_limit: float | None = None) -> list[int]:
        """Start tasks in long queries; return their numbers when the server is at work on those of the limit."""
        numbers = self.subject.start("query", [{"seconds": seconds}] * count, time_limit)
        wait_until(lambda: self.sessions(_SLEEPING) >= min(count, LIMIT), PATIENCE)
        return numbers

    def sessions(self, condition: str = "true") -> int:
        """Return how many of the role's sessions on the server meet a condition."""
        return int(self.query(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND {condition}"))

    def going_on(self, seconds: float = _GONE_SECONDS) -> int:
        """Return how many queries the server is still at work on, after it was given some time to end them."""
        wait_until(lambda: self.sessions(_SLEEPING) == 0, seconds)
        return self.sessions(_SLEEPING)

    def query(self, sql: str) -> str:
        """Return the first column of the first row, as a superuser sees it; "" if there is none."""
        rows = self.server.query(sql, dbname=ROLE)
        return rows[0][0] if rows else ""

    def most_sessions(self) -> int:
        """Return the greatest number of sessions so far."""
        return max((sum(sample.sessions.values()) for sample in list(self.watch.samples)), default=0)

    def seconds_to_success(self, seconds: float) -> float | None:
        """Run one task after the other until one succeeds; return after how many seconds, None if none does."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            (task,) = self.run("query", [{}])
            if not task.has_failed:
                return time.monotonic() - began
        return None

    def cpu_part(self, seconds: float) -> float:
        """Return which part of a CPU the contender uses meanwhile, its pooler included."""
        before = self._cpu_seconds()
        time.sleep(seconds)
        return (self._cpu_seconds() - before) / seconds

    def look_afterwards(self, *, counts_connections: bool = True) -> Iterator[Finding]:
        """Say how well the contender is after a fault."""
        numbers, count = self.hold()
        self.release(numbers)
        yield lendable(count)
        values = range(AFTERWARDS)
        tasks = self.run("query", [{"value": value, "seconds": SEEN_SECONDS} for value in values])
        yield failed(tasks, " afterwards")
        yield from wrong_answers(tasks, values)
        if counts_connections:
            yield most_connections(self.most_sessions())

    def _cpu_seconds(self) -> float:
        pids = [self.subject.pid, *([self.pooler.pid] if self.pooler is not None else ())]
        return sum(map(_cpu_seconds_of, pids))


def _cpu_seconds_of(pid: int) -> float:
    # Here, as the tests of what results are made into do without it.
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
