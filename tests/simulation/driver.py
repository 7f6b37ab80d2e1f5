"""The simulated database driver: what it does takes time on the network, and may fail on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from django_geventpool.pool.driver import Use
from django_geventpool.pool.fleet.badge import application_name, read, renamed
from django_geventpool.pool.fleet.census import Census

from .laws import LawBroken
from .scheduler import Task
from .server import LOGIN, Network, Server, Session

if TYPE_CHECKING:
    from .process import Process

#: Seconds.
CONNECT_TIMEOUT = 6.0
CLOSE_TIMEOUT = 5.0
FAILED_CLOSE_TIMEOUT = 2.0
#: How likely it is that a connection that comes back costs a round trip, and that one can't be made clean.
ROUND_TRIPS = 0.3
DIRTY = 0.01


class DriverError(Exception):
    """An error of the driver's own: the connection is lost, or can't be made."""


class ServerFull(DriverError):
    """The server has no connection left."""


class Connection:
    """A connection, as its client knows it."""

    __slots__ = ("is_active", "is_closed", "is_severed", "name", "number", "session", "user")

    def __init__(self, number: int) -> None:
        self.number = number
        self.session: Session | None = None
        #: What the session was called at first.
        self.name = ""
        #: Whether the client has closed it, or was interrupted in using it.
        self.is_closed = False
        self.is_severed = False
        self.is_active = False
        #: Which task waits for an answer on it.
        self.user: Task | None = None

    def __repr__(self) -> str:
        return f"connection {self.number}"


class SimulatedDriver:
    """The driver of one process."""

    name = "simulated"
    error = DriverError

    def __init__(self, process: Process, server: Server, network: Network) -> None:
        self._process = process
        self._server = server
        self._network = network
        self._scheduler = server.scheduler
        self._uniform = server.scheduler.random.uniform
        self._numbers = itertools.count(1)

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> Connection:
        scheduler, server = self._scheduler, self._server
        give_up_at = scheduler.now + CONNECT_TIMEOUT
        if not self._network.deliver(give_up_at):
            raise DriverError("connection timeout expired")
        connection = Connection(next(self._numbers))
        opening(connection)
        if server.is_down:
            opening(None)
            raise DriverError("the database system is starting up")
        connection.name = application_name("", badge) if badge else ""
        session = connection.session = server.begin(self._process, connection, connection.name)
        try:
            scheduler.sleep(self._uniform(*LOGIN))
            if session.has_ended:
                raise DriverError("server closed the connection unexpectedly")
            if not server.admits(session):
                server.let_go(session)
                raise ServerFull("too many connections for role")
            if not self._network.deliver(give_up_at):
                raise DriverError("connection timeout expired")
        except DriverError:
            self._close_failed(connection, opening)
            raise
        return connection

    def _close_failed(self, connection: Connection, opening: Callable[[Any], None]) -> None:
        self._say_good_bye(connection)
        if self._await_end(connection, FAILED_CLOSE_TIMEOUT):
            opening(None)

    def is_alive(self, connection: Connection) -> bool:
        session = connection.session
        assert session is not None
        return not connection.is_closed and not (session.has_ended and not self._network.is_cut)

    def query(self, connection: Connection, seconds: float) -> None:
        """Run a query that takes so long on the server."""
        connection.is_active = True
        try:
            self._trip(connection, seconds)
        except DriverError:
            raise
        except BaseException:
            self._sever(connection)
            raise
        finally:
            connection.is_active = False

    def _trip(self, connection: Connection, seconds: float = 0.0, handle: Callable[[], Any] = bool) -> Any:
        """Let the server do something, and wait for its answer."""
        session = connection.session
        assert session is not None
        if connection.user not in (None, self._scheduler.current):
            self._scheduler.failed(LawBroken(f"two use {connection} of {self._process.name} at the same time"))
        connection.user = self._scheduler.current
        try:
            return self._talk(session, seconds, handle)
        finally:
            connection.user = None

    def _talk(self, session: Session, seconds: float, handle: Callable[[], Any]) -> Any:
        self._network.deliver()
        self._expect(session)
        if seconds:
            self._scheduler.sleep(seconds)
            self._expect(session)
        answer = handle()
        self._network.deliver()
        self._expect(session)
        return answer

    def _expect(self, session: Session) -> None:
        if session.has_ended:
            raise DriverError("server closed the connection unexpectedly")

    def _sever(self, connection: Connection) -> None:
        connection.is_severed = True
        self._say_good_bye(connection)

    def _say_good_bye(self, connection: Connection) -> None:
        session = connection.session
        if not connection.is_closed and session is not None and not session.has_ended:
            self._network.say_good_bye(session)
        connection.is_closed = True

    def reset(self, connection: Connection) -> bool:
        if connection.is_closed:
            return False
        session = connection.session
        assert session is not None
        chance = self._uniform(0, 1)
        is_renamed = session.name != connection.name and read(session.name) is None
        if chance < ROUND_TRIPS or is_renamed:
            try:
                self._trip(connection)
            except DriverError:
                raise
            except BaseException:
                self._sever(connection)
                raise
        if is_renamed:
            session.name = connection.name
        return chance > DIRTY

    def look(self, connection: Connection, badge: str) -> Census | None:
        session = connection.session
        assert session is not None

        def handle() -> Census | None:
            if self._uniform(0, 1) < self._server.lost_looks:
                return None
            session.name = renamed(session.name, badge) or session.name
            return self._server.census()

        try:
            census: Census | None = self._trip(connection, 0.0, handle)
        except DriverError:
            raise
        except BaseException:
            self._sever(connection)
            raise
        return census

    def close(self, connection: Connection) -> None:
        self._say_good_bye(connection)
        if not self._await_end(connection, CLOSE_TIMEOUT):
            assert connection.session is not None
            connection.session.is_abandoned = True

    def _await_end(self, connection: Connection, seconds: float) -> bool:
        """Wait until the server has ended a session, and that is known here; False if that takes longer."""
        session, scheduler = connection.session, self._scheduler
        if session is None:
            return True
        end = scheduler.now + seconds
        task = scheduler.current
        assert task is not None
        session.end_watchers.append(task)
        try:
            while not session.has_ended:
                if scheduler.now >= end:
                    return False
                scheduler.wait(end)
        finally:
            session.end_watchers.remove(task)
        return True

    def server_of(self, connection: Connection) -> int:
        return 0

    def is_interrupted(self, connection: Connection) -> bool:
        return connection.is_severed

    def state(self, connection: Connection) -> Literal["active", "idle", "idle in transaction"]:
        return "active" if connection.is_active else "idle"

    def use(self, connection: Connection) -> Use:
        return Use(0, 0)

    def is_server_full(self, error: BaseException) -> bool:
        return isinstance(error, ServerFull)
