"""A worker of the test project as its clients and its database see it, on this machine or in Docker."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any, Protocol

import celery
from celery.result import AsyncResult

from tests.support.waiting import eventually

#: The ``log_line_prefix`` that the server must have.
LOG_LINE_PREFIX = "%m [%p] %a: "
_CONNECTED = re.compile(r"connection authorized: .*application_name=(\S+)")
_ENDED = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\S+).*?: (?:LOG: +disconnection|FATAL):")
_PID = re.compile(r"^\S+ \S+ \S+ \[(\d+)\]")

RESULT_TIMEOUT = 60.0
NO_NUMBERS = {"in_use": 0, "idle": 0, "connecting": 0, "closing": 0, "waiting": 0, "size": 0, "reclaimed": 0}


class Database(Protocol):
    """The server that the worker uses."""

    @property
    def log(self) -> str: ...

    def query(self, sql: str) -> list[list[str]]: ...


class WatchedWorker:
    """Sends tasks and commands to a worker, and watches its connections.

    Subclasses set the attributes.
    """

    #: Sends tasks and commands.
    client: celery.Celery
    #: The worker's name for remote control.
    hostname: str
    #: The application name of its connections.
    name: str
    server: Database
    #: The MAX_CONNS.
    limit: int

    def await_answer(self) -> None:
        """Wait until the worker takes commands: after a reconnect, it may take tasks earlier."""
        eventually(lambda: self.client.control.ping([self.hostname], timeout=1), f"an answer of {self.name}")

    # Tasks

    def send(self, task: str, *args: object, **options: Any) -> AsyncResult[Any]:
        """Send a task."""
        return self.client.send_task(f"smoke_project.tasks.{task}", args=args, **options)

    def send_many(self, count: int, task: str, *args: object, **options: Any) -> list[AsyncResult[Any]]:
        return [self.send(task, *args, **options) for _ in range(count)]

    def run(self, task: str, *args: object, **options: Any) -> Any:
        """Send a task, and return its result."""
        return result_of(self.send(task, *args, **options))

    def control(self, command: str, **arguments: Any) -> Any:
        """Send a remote control command, and return its answer."""
        replies = self.client.control.broadcast(
            command, arguments=arguments, destination=[self.hostname], reply=True, timeout=RESULT_TIMEOUT, limit=1
        )
        assert replies, f"{command}: no answer of {self.hostname}"
        return replies[0][self.hostname]

    def revoke(self, results: Iterable[AsyncResult[Any]]) -> None:
        """Revoke tasks, and terminate those that run."""
        # The signal matters for prefork only: in the middle of a query, psycopg2 handles no other.
        self.control("revoke", task_id=[result.id for result in results], terminate=True, signal="SIGKILL")

    # The pool and its connections

    def new_gate(self) -> str:
        """Return a new gate: tasks that are given its name stay in a query until ``open_gate``."""
        return str(uuid.uuid4())

    def open_gate(self, gate: str) -> None:
        self.server.query(f"INSERT INTO gates VALUES ('{gate}')")

    def numbers(self) -> dict[str, Any]:
        """Return the numbers of the main process's pool."""
        answer: dict[str, dict[str, Any]] = self.control("pool_numbers")
        return answer.get("default", NO_NUMBERS)

    def is_quiet(self) -> bool:
        numbers = self.numbers()
        return not any(numbers[what] for what in ("in_use", "connecting", "closing", "waiting"))

    def assert_whole(self) -> None:
        """Assert that no connection is held or waited for, that all can be used, and that the limit was kept."""
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        gate = self.new_gate()
        tasks = self.send_many(self.limit, "query_until", gate)
        self.await_active(self.limit)
        # The worker answers while all connections execute a query.
        numbers = self.numbers()
        assert (numbers["in_use"], numbers["size"]) == (self.limit, self.limit)
        assert self.connections() == self.limit
        self.open_gate(gate)
        assert len({result_of(task) for task in tasks}) == self.limit
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        assert self.connections() <= self.limit
        assert self.peak() <= self.limit

    # The worker's connections, as the server counts them

    def sessions(self, condition: str = "true") -> int:
        """Return how many of the worker's connections meet a condition."""
        rows = self.server.query(
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE split_part(application_name, ' ', 1) = '{self.name}' AND ({condition})"
        )
        return int(rows[0][0])

    def connections(self) -> int:
        """Return how many connections the worker has."""
        return self.sessions()

    def active(self, text: str) -> int:
        """Return how many queries with this text the server is executing for the worker."""
        return self.sessions(f"state = 'active' AND query LIKE '%{text}%'")

    def await_active(self, count: int, text: str = "pg_sleep") -> None:
        eventually(lambda: self.active(text) == count, f"{count} active queries of {self.name}")

    def opened(self) -> int:
        """Return how many connections of the worker the server has accepted in all."""
        return sum(match[1] == self.name for match in _CONNECTED.finditer(self.server.log))

    def peak(self) -> int:
        """Return the greatest number of the worker's connections at the same time so far, by the server's log."""
        present: set[str] = set()
        most = 0
        for line in self.server.log.splitlines():
            connected = _CONNECTED.search(line)
            pid = _PID.match(line)
            if connected is not None and connected[1] == self.name and pid is not None:
                present.add(pid[1])
                most = max(most, len(present))
            elif (ended := _ENDED.match(line)) is not None:
                present.discard(ended[1])
        return most


def result_of(result: AsyncResult[Any]) -> Any:
    """Wait for a task and return what it returned; raise what it raised."""
    return result.get(timeout=RESULT_TIMEOUT, interval=0.05)
