"""The simulated server: its sessions, its limit, and the network to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django_geventpool.pool.fleet.census import Census, Sessions, take
from tests.support.session_list import grouped

from .scheduler import Scheduler, Task

if TYPE_CHECKING:
    from .driver import Connection
    from .process import Process

#: Seconds, from the least to the most: one way through the network, a login, and until a session has ended.
LATENCY = (0.0001, 0.001)
LOGIN = (0.002, 0.012)
LET_GO = (0.0005, 0.005)
LET_GO_LATE = (0.3, 7.0)
#: After how long the server ends the sessions of a process that it can't reach.
KEEPALIVE = 20.0
#: ``max_connections``, without what is reserved.
MAX_CONNECTIONS = 1000


class Session:
    """A session of the server."""

    __slots__ = ("began", "connection", "end_watchers", "has_ended", "is_abandoned", "is_listed", "name", "process")

    def __init__(self, process: Process, connection: Connection, name: str, began: float) -> None:
        self.process = process
        self.connection = connection
        self.name = name
        self.began = began
        #: Whether the login is over, so that the list has it.
        self.is_listed = False
        self.has_ended = False
        #: Whether the client has stopped to wait for its end.
        self.is_abandoned = False
        self.end_watchers: list[Task] = []


class Server:
    """The server.

    :param limit: the role's CONNECTION LIMIT.
    """

    def __init__(self, scheduler: Scheduler, limit: int) -> None:
        self.scheduler = scheduler
        self.limit = limit
        self.is_down = False
        #: The sessions of the role: those that begin, too.
        self.sessions: dict[Session, None] = {}
        #: Sessions of others with this role, such as psql's.
        self.strangers = 0
        #: The parts of looks that fail, and of sessions that end late.
        self.lost_looks = 0.0
        self.late_ends = 0.0
        self.accepted = self.refused = self.looks = 0

    def begin(self, process: Process, connection: Connection, name: str) -> Session:
        """Begin a session, which counts from now on."""
        session = Session(process, connection, name, self.scheduler.now)
        self.sessions[session] = None
        process.sessions[session] = None
        return session

    def admits(self, session: Session) -> bool:
        """Return whether there is room for a session that has begun; if so, it is listed."""
        if len(self.sessions) + self.strangers > self.limit:
            self.refused += 1
            return False
        session.is_listed = True
        self.accepted += 1
        return True

    def let_go(self, session: Session) -> None:
        """End a session soon, or late."""
        uniform = self.scheduler.random.uniform
        pause = LET_GO_LATE if uniform(0, 1) < self.late_ends else LET_GO
        self.scheduler.after(uniform(*pause), lambda: self.end(session))

    def end(self, session: Session) -> None:
        """End a session now."""
        if session.has_ended:
            return
        session.has_ended = True
        del self.sessions[session]
        del session.process.sessions[session]
        for task in session.end_watchers:
            self.scheduler.wake(task)

    def stop(self) -> None:
        """Go down, with all sessions."""
        self.is_down = True
        for session in list(self.sessions):
            self.end(session)

    def census(self) -> Census:
        """Return the session list, and the limits."""
        now = self.scheduler.now
        self.looks += 1
        listed = grouped((each.name, now - each.began) for each in self.sessions if each.is_listed)
        if self.strangers:
            listed.append(Sessions(self.strangers, True, True, now, "psql"))
        limits = [("role", self.limit), ("database", -1), ("server", MAX_CONNECTIONS)]
        return take(limits, listed, is_readable=True)


class Network:
    """The way from one process to the server."""

    def __init__(self, scheduler: Scheduler, server: Server) -> None:
        self._scheduler = scheduler
        self._server = server
        self.is_cut = False
        self._waiting: dict[Task, None] = {}
        #: Sessions whose good-byes are on the way.
        self._good_byes: list[Session] = []

    def deliver(self, give_up_at: float = math.inf) -> bool:
        """Wait until a message has arrived; False if it has not by a time."""
        self._scheduler.sleep(self._scheduler.random.uniform(*LATENCY))
        if not self.is_cut:
            return True
        task = self._scheduler.current
        assert task is not None
        self._waiting[task] = None
        try:
            while self.is_cut:
                if self._scheduler.now >= give_up_at:
                    return False
                self._scheduler.wait(give_up_at if give_up_at < math.inf else None)
        finally:
            self._waiting.pop(task, None)
        return True

    def say_good_bye(self, session: Session) -> None:
        """Send the message that ends a session; it arrives once it can."""
        if self.is_cut:
            self._good_byes.append(session)
        else:
            self._server.let_go(session)

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False
        for task in list(self._waiting):
            self._scheduler.wake(task)
        good_byes, self._good_byes = self._good_byes, []
        for session in good_byes:
            self._server.let_go(session)
