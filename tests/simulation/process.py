"""A simulated process: a pool, and tasks that borrow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_geventpool.errors import PoolTimeout
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from django_geventpool.pool.slot import Request
from django_geventpool.registry import Pools
from tests.support import inside

from .driver import SimulatedDriver
from .laws import show
from .ordered import OrderedSet
from .scheduler import Group
from .server import Network, Server, Session

if TYPE_CHECKING:
    from .borrowers import Borrower, Loan


#: Of the processes' pools.
ALIAS = "default"


@dataclass
class Counted:
    """What has happened in a process."""

    served: int = 0
    timeouts: int = 0
    errors: int = 0
    kills: int = 0

    def count(self, error: Exception) -> None:
        """Count what came of a borrower's visit."""
        if isinstance(error, PoolTimeout):
            self.timeouts += 1
        else:
            self.errors += 1


class Process(Group):
    """A process with one pool at a time, and those before it that still have connections.

    :param options: of its first pool; the next have those of the pool before.
    """

    def __init__(self, name: str, server: Server, options: PoolOptions) -> None:
        super().__init__(name)
        self.server = server
        self.scheduler = server.scheduler
        self.network = Network(server.scheduler, server)
        self.driver = SimulatedDriver(self, server, self.network)
        #: Its sessions on the server.
        self.sessions: dict[Session, None] = {}
        self.counted = Counted()
        #: What its tasks have borrowed.
        self.loans: dict[Request, Loan] = {}
        #: Those of its tasks that borrow; how many there should be, are about to begin, and what makes one.
        self.borrowers: dict[Borrower, None] = {}
        self.wanted = 0
        self._coming = 0
        self.make_borrower: Callable[[], Borrower] | None = None
        #: Until when it stood still, the last time (simulated seconds).
        self.continued_at = server.scheduler.now
        #: Its pools that were borrowed from, until nothing is left of them, and how many slots they may have together.
        self.pools: list[Pool] = []
        self.most_slots = 0
        self._registry = Pools()
        #: What its pool connects to.
        self._target = 0
        self.obtain(options)

    def obtain(self, options: PoolOptions | None = None) -> Pool:
        """Return the pool to borrow from, another one if that was closed or has another target, as engines do."""
        pool = self._registry.obtain(ALIAS, self._target, lambda: self._make_pool(options or self.pool.options))
        if pool not in self.pools:
            self.pools.append(pool)
        return pool

    def _make_pool(self, options: PoolOptions) -> Pool:
        pool: Pool = Pool(self.name, self.driver, options)  # type: ignore[arg-type]
        # Objects in a set come in the order of their addresses, which no seed repeats.
        inside.keep_slots_in(pool, OrderedSet())
        return pool

    @property
    def pool(self) -> Pool:
        """The present pool, or the last one if that is closed."""
        return self._registry.get(ALIAS) or self.pools[-1]

    def change_target(self) -> None:
        """Replace the pool, as a test runner does that points it at another database."""
        self._target += 1
        self.obtain()

    def close_pool(self) -> None:
        """Close the pool; whoever borrows next makes another."""
        self._registry.close(ALIAS)

    # Its borrowers

    def want(self, borrowers: int, make: Callable[[], Borrower]) -> None:
        """Have so many tasks that borrow, from now on; those that are too many end by themselves."""
        self.wanted, self.make_borrower = borrowers, make
        self._fill_up()

    def _fill_up(self) -> None:
        while not self.is_dead and len(self.borrowers) + self._coming < self.wanted:
            self._coming += 1
            self.scheduler.after(self.scheduler.random.uniform(0, 0.02), self._begin_borrower)

    def _begin_borrower(self) -> None:
        self._coming -= 1
        if not self.is_dead and self.make_borrower is not None and len(self.borrowers) < self.wanted:
            borrower = self.make_borrower()
            self.borrowers[borrower] = None
            borrower.task = task = self.scheduler.start(self, "borrower", borrower.run)
            if task is not None:
                task.borrower = borrower

    def borrower_ended(self, borrower: Borrower) -> None:
        self.borrowers.pop(borrower, None)
        self._fill_up()

    # What is done to it

    def stop(self) -> None:
        """Stand still, as with SIGSTOP."""
        self.scheduler.stop(self)

    def go_on(self) -> None:
        self.continued_at = self.scheduler.now
        self.scheduler.go_on(self)

    def die(self) -> None:
        """End, as with SIGKILL; the server notices later."""
        self.is_dead = True

    def __repr__(self) -> str:
        return "; ".join(show(self.name, pool) for pool in self.pools)
