"""A driver without a server, each step of which can be scripted."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Literal

from django_geventpool.pool.driver import Use
from django_geventpool.pool.fleet.census import Census, Scope

Step = Literal["connect", "opened", "is_alive", "reset", "look", "close"]
#: What a step does instead of succeeding: raise an exception, or call a function.
Action = BaseException | Callable[[], object] | None


class ScriptedError(Exception):
    """An error of the driver's own."""


class ServerFull(ScriptedError):
    """The server has too many connections."""


class Refused(ScriptedError):
    """The server can't be connected to for another reason."""


class ScriptedConnection:
    """A connection of the driver."""

    def __init__(self, number: int, badge: str) -> None:
        self.number = number
        #: Which of several servers it is connected to.
        self.server = 0
        #: What it says of its pool.
        self.badge = badge
        #: Whether the server has hung up.
        self.dead = False
        #: Whether it can't be reset.
        self.dirty = False
        self.closed = 0
        #: Whether a query runs on it.
        self.is_active = False
        #: Whether a transaction is open, and how far its use has got.
        self.is_in_transaction = False
        self.use = Use(0, 0)

    def __repr__(self) -> str:
        return f"<connection {self.number}>"


class ScriptedDriver:
    """A driver that counts connections as a server would, and does in each step what its script says.

    The steps are "connect", before there is anything to close; "opened", when the server has the connection;
    "is_alive", "reset" and "close". Each step that would wait for the network lets other greenlets or threads run.
    """

    name = "scripted"
    error = ScriptedError

    def __init__(self) -> None:
        #: The connections that are open now.
        self.live: set[ScriptedConnection] = set()
        #: The greatest number that was open at the same time.
        self.peak = 0
        #: Every step, in order.
        self.log: list[tuple[Step, ScriptedConnection | None]] = []
        #: The server's limit of connections; None for none.
        self.capacity: int | None = None
        #: Returns the server's session list; None if that doesn't say who is connected.
        self.take_census: Callable[[], Census | None] | None = None
        #: Whether it says then that the server is full.
        self.says_full = False
        #: Whether steps let others run.
        self.is_slow = True
        self._scripts: dict[Step, deque[Action]] = defaultdict(deque)
        self._always: dict[Step, Action] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def script(self, step: Step, *actions: Action) -> None:
        """Set what the next calls of a step do: raise or call what is given; None lets one succeed."""
        self._scripts[step].extend(actions)

    def always(self, step: Step, action: Action) -> None:
        """Set what all calls of a step do that ``script`` says nothing about."""
        self._always[step] = action

    def count(self, step: Step) -> int:
        """Return how often a step was taken."""
        return sum(taken == step for taken, _ in self.log)

    # The interface of drivers

    def connect(self, opening: Callable[[ScriptedConnection], None], badge: str = "") -> ScriptedConnection:
        self._take("connect", None)
        connection = ScriptedConnection(next(self._numbers), badge)
        opening(connection)
        with self._lock:
            if self.capacity is not None and len(self.live) >= self.capacity:
                raise ServerFull("sorry, too many clients already")
            self.live.add(connection)
            self.peak = max(self.peak, len(self.live))
        self._take("opened", connection)
        return connection

    def is_alive(self, connection: ScriptedConnection) -> bool:
        self._take("is_alive", connection, waits=False)
        return not connection.dead

    def reset(self, connection: ScriptedConnection) -> bool:
        self._take("reset", connection)
        return not connection.dirty

    def look(self, connection: ScriptedConnection, badge: str) -> Census | None:
        self._take("look", connection)
        connection.badge = badge
        if self.take_census is None:
            return Census([Scope("role", 1, others={"psql": 1})] if self.says_full else [], is_readable=False)
        return self.take_census()

    def close(self, connection: ScriptedConnection) -> None:
        self._take("close", connection)
        connection.closed += 1
        with self._lock:
            self.live.discard(connection)

    def server_of(self, connection: ScriptedConnection) -> int:
        return connection.server

    def is_interrupted(self, connection: ScriptedConnection) -> bool:
        assert isinstance(connection, ScriptedConnection), "asked of what is no connection"
        return False

    def state(self, connection: ScriptedConnection) -> Literal["active", "idle", "idle in transaction"]:
        if connection.is_active:
            return "active"
        return "idle in transaction" if connection.is_in_transaction else "idle"

    def use(self, connection: ScriptedConnection) -> Use:
        return connection.use

    def is_server_full(self, error: BaseException) -> bool:
        return isinstance(error, ServerFull)

    def _take(self, step: Step, connection: ScriptedConnection | None, waits: bool = True) -> None:
        self.log.append((step, connection))
        if waits and self.is_slow:
            time.sleep(0)
        script = self._scripts[step]
        action = script.popleft() if script else self._always.get(step)
        if isinstance(action, BaseException):
            raise action
        if action is not None:
            action()
