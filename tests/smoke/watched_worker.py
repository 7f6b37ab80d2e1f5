"""A worker of the test project as its clients and its database see it, wherever it runs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any, Protocol

import celery
from celery.result import AsyncResult

from tests.support.waiting import eventually

#: What the server's log must start its lines with.
LOG_LINE_PREFIX = "%m [%p] %a: "
_CONNECTED = re.compile(r"connection authorized: .*application_name=(\S+)")
_ENDED = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\S+): (?:LOG: +disconnection|FATAL):")
_PID = re.compile(r"^\S+ \S+ \S+ \[(\d+)\]")

RESULT_TIMEOUT = 60.0
NO_NUMBERS = {"in_use": 0, "idle": 0, "connecting": 0, "closing": 0, "waiting": 0, "size": 0, "reclaimed": 0}


class Database(Protocol):
    """What has to be known of the server that the worker uses."""

    @property
    def log(self) -> str: ...

    def query(self, sql: str) -> list[list[str]]: ...


class WatchedWorker:
    """Gives tasks and commands to a worker, and looks at its connections.

    Whoever inherits sets the attributes.
    """

    #: Sends tasks and commands.
    client: celery.Celery
    #: The worker's name for remote control.
    hostname: str
    #: The application name of its connections.
    name: str
    server: Database
    #: MAX_CONNS.
    limit: int

    def await_answer(self) -> None:
        """Wait until the worker takes commands: after a reconnect, it may take tasks before."""
        eventually(lambda: self.client.control.ping([self.hostname], timeout=1), f"an answer of {self.name}")

    # Tasks

    def send(self, task: str, *args: object, **options: Any) -> AsyncResult[Any]:
        """Have a task run."""
        return self.client.send_task(f"smoke_project.tasks.{task}", args=args, **options)

    def send_many(self, count: int, task: str, *args: object, **options: Any) -> list[AsyncResult[Any]]:
        return [self.send(task, *args, **options) for _ in range(count)]

    def run(self, task: str, *args: object, **options: Any) -> Any:
        """Have a task run and return its result."""
        return result_of(self.send(task, *args, **options))

    def control(self, command: str, **arguments: Any) -> Any:
        """Have a remote control command run and return its answer."""
        replies = self.client.control.broadcast(
            command, arguments=arguments, destination=[self.hostname], reply=True, timeout=RESULT_TIMEOUT, limit=1
        )
        assert replies, f"{command}: no answer of {self.hostname}"
        return replies[0][self.hostname]

    def revoke(self, results: Iterable[AsyncResult[Any]]) -> None:
        """Revoke tasks and terminate those that run."""
        # The signal matters to prefork only: in the middle of a query, psycopg2 hears no other.
        self.control("revoke", task_id=[result.id for result in results], terminate=True, signal="SIGKILL")

    # The pool and its connections

    def new_gate(self) -> str:
        """A name for tasks that wait in the middle of a query until `open_gate`."""
        return str(uuid.uuid4())

    def open_gate(self, gate: str) -> None:
        self.server.query(f"INSERT INTO gates VALUES ('{gate}')")

    def numbers(self) -> dict[str, Any]:
        """The numbers of the pool of the main process."""
        answer: dict[str, dict[str, Any]] = self.control("pool_numbers")
        return answer.get("default", NO_NUMBERS)

    def is_quiet(self) -> bool:
        numbers = self.numbers()
        return not any(numbers[what] for what in ("in_use", "connecting", "closing", "waiting"))

    def assert_whole(self) -> None:
        """Nobody holds or waits for anything, the whole capacity can be used, and the bound was never exceeded."""
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        gate = self.new_gate()
        tasks = self.send_many(self.limit, "query_until", gate)
        self.await_active(self.limit)
        # It answers while all connections execute something.
        numbers = self.numbers()
        assert (numbers["in_use"], numbers["size"]) == (self.limit, self.limit)
        assert self.connections() == self.limit
        self.open_gate(gate)
        assert len({result_of(task) for task in tasks}) == self.limit
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        assert self.connections() <= self.limit
        assert self.peak() <= self.limit

    # The server

    def sessions(self, condition: str = "true") -> int:
        """How many connections of the worker, that meet a condition, the server counts."""
        rows = self.server.query(
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{self.name}' AND ({condition})"
        )
        return int(rows[0][0])

    def connections(self) -> int:
        """How many connections of the worker the server counts."""
        return self.sessions()

    def active(self, text: str) -> int:
        """How many queries with this text the server executes for the worker."""
        return self.sessions(f"state = 'active' AND query LIKE '%{text}%'")

    def await_active(self, count: int, text: str = "pg_sleep") -> None:
        eventually(lambda: self.active(text) == count, f"{count} active queries of {self.name}")

    def opened(self) -> int:
        """How many connections of the worker the server has let in, from the first on."""
        return sum(match[1] == self.name for match in _CONNECTED.finditer(self.server.log))

    def peak(self) -> int:
        """The most connections of the worker at the same time, from the first on, by the server's log."""
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
