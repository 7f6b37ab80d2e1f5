"""Tasks of a simulated process that borrow connections, as well-behaved and as badly as tasks do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django_geventpool.errors import ClientBusy, PoolClosed, PoolTimeout
from django_geventpool.pool import Pool
from django_geventpool.pool.owner import Owner
from django_geventpool.pool.slot import Request
from tests.support import inside

from .driver import Connection, DriverError
from .laws import LawBroken
from .process import Process
from .scheduler import Task, Thrown

#: What may come out of asking.
_REFUSALS = (PoolTimeout, PoolClosed, ClientBusy, DriverError)


class OwnTimeout(Thrown):
    """The time is over that a task has given itself for something; it goes on with the next."""


class Wrapper:
    """What a connection is borrowed for, as Django's wrappers do."""


@dataclass(eq=False)
class Loan:
    """A connection in the hands of a borrower."""

    borrower: Borrower
    request: Request
    pool: Pool
    connection: Connection
    #: How many are giving it back now.
    givers: int = 0

    @property
    def is_in_force(self) -> bool:
        """Whether it has not been taken back."""
        return self.request.held is not None

    def give_back(self) -> None:
        """Give the connection back, unless that was done."""
        if not self.is_in_force:
            return
        process = self.borrower.process
        self.givers += 1
        try:
            if self.request.owner is None:
                self.pool.putconn(self.connection)
            else:
                self.pool.give_back(self.request.owner)  # type: ignore[arg-type]
        finally:
            self.givers -= 1
            if not self.givers:
                process.loans.pop(self.request, None)


@dataclass(frozen=True)
class Habits:
    """How a borrower behaves; times in seconds, shares from 0 to 1."""

    visits: int = 3
    think: float = 0.02
    query: tuple[float, float] = (0.001, 0.06)
    #: How long it waits, instead of CONN_WAIT_TIMEOUT.
    timeouts: tuple[float | None, ...] = ()
    own_timeouts: float = 0.3
    urgent: float = 0.0
    #: Ends without giving back.
    forgets: float = 0.0
    #: Asks on behalf of a wrapper, and drops that without closing it.
    owned: float = 0.5
    drops: float = 0.0
    #: Asks for a second connection while it has the first.
    nests: float = 0.0
    #: Has another task give the connection back too.
    gives_twice: float = 0.0
    renames: float = 0.0


class Borrower:
    """A task that borrows a few times."""

    def __init__(self, process: Process, habits: Habits) -> None:
        self.process = process
        self.scheduler = process.scheduler
        self.habits = habits
        self._is_dismissed = False
        #: How many calls of ``getconn`` go on.
        self.asking = 0
        self.task: Task | None = None
        self._is_forgetful = self._happens(habits.forgets)
        self._wrapper: Wrapper | None = None
        self._owner: Owner | None = None
        #: Where it asked last for its wrapper.
        self._pool: Pool | None = None
        if self._happens(habits.owned):
            self._renew_wrapper()

    def _happens(self, share: float) -> bool:
        return share > 0 and self.scheduler.random.random() < share

    def _renew_wrapper(self) -> None:
        self._wrapper = Wrapper()
        self._owner = Owner(self._wrapper)

    def run(self) -> None:
        task = self.task
        assert task is not None
        task.local["is_urgent"] = self._happens(self.habits.urgent)
        try:
            for _ in range(0 if self._is_dismissed else self.habits.visits):
                self.scheduler.sleep(self.scheduler.random.uniform(0, 2 * self.habits.think))
                try:
                    self._visit(self._owner)
                except OwnTimeout:
                    self.process.counted.kills += 1
        finally:
            self.process.loans = {r: loan for r, loan in self.process.loans.items() if loan.borrower is not self}
            self.process.borrower_ended(self)

    def dismiss(self, error: Thrown) -> None:
        """End, wherever it is."""
        self._is_dismissed = True
        if self.task is not None and not self.task.has_not_begun:
            self.scheduler.throw(self.task, error)

    def _visit(self, owner: Owner | None, depth: int = 0) -> None:
        try:
            loan = self._ask(owner)
        except _REFUSALS as error:
            self.process.counted.count(error)
            return
        try:
            self._use(loan, depth)
            self.process.counted.served += 1
        except DriverError as error:
            self.process.counted.count(error)
        except Thrown:
            self._finish(loan)
            raise
        else:
            self._finish(loan)
            return
        self._finish(loan)

    def _ask(self, owner: Owner | None) -> Loan:
        if owner is not None and owner.request is not None and self._pool is not None:
            self._pool.give_back(owner)  # As the adapter of Django's wrappers: each pool gets back its own.
        pool = self.process.obtain()
        if owner is not None:
            self._pool = pool
        arguments: dict[str, Any] = {}
        if self.habits.timeouts and self._happens(self.habits.own_timeouts):
            arguments["timeout"] = self.scheduler.random.choice(self.habits.timeouts)
        self.asking += 1
        try:
            connection = pool.getconn(owner=owner, **arguments)
            return self._record(pool, connection)
        finally:
            self.asking -= 1

    def _record(self, pool: Pool, connection: Connection) -> Loan:
        slot = inside.state(pool).by_connection.get(connection)
        if slot is None or slot.request is None:
            raise LawBroken(f"{self.process.name}: {connection} was lent, and is no slot's")
        if slot.request in self.process.loans:
            raise LawBroken(f"{self.process.name}: {connection} was lent twice")
        if connection.is_closed or connection.is_severed:
            raise LawBroken(f"{self.process.name}: {connection} was lent, and is closed")
        loan = self.process.loans[slot.request] = Loan(self, slot.request, pool, connection)
        return loan

    def _use(self, loan: Loan, depth: int) -> None:
        random, driver = self.scheduler.random, self.process.driver
        driver.query(loan.connection, random.uniform(*self.habits.query))
        if not depth and self._happens(self.habits.nests):
            self._visit(None, 1)
        if self._happens(self.habits.renames):
            assert loan.connection.session is not None
            loan.connection.session.name = "a name of the holder's"

    def _finish(self, loan: Loan) -> None:
        if self._is_forgetful:
            return
        if self._owner is not None and loan.request.owner is self._owner and self._happens(self.habits.drops):
            self.process.loans.pop(loan.request, None)
            self._renew_wrapper()
            return
        if self._happens(self.habits.gives_twice):
            self.scheduler.start(self.process, "second giver", loan.give_back)
        loan.give_back()
