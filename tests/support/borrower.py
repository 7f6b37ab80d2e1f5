"""Tasks that borrow a pool's connections, step by step."""

from __future__ import annotations

import threading
from typing import Any

from django_geventpool.pool import Pool

from .tasks import Task
from .waiting import eventually


class Borrower:
    """A task that takes a connection, gives it back when told to, and ends.

    :param order: a list to which the borrower adds itself when it has the connection.
    :param arguments: for ``getconn``.
    """

    def __init__(self, pool: Pool, *, order: list[Borrower] | None = None, **arguments: Any) -> None:
        self.pool = pool
        self.connection: Any = None
        self._order = order
        self._arguments = arguments
        self._taken = threading.Event()
        self._told = threading.Event()
        self.gives_back = True
        self.task: Task[None] = Task(self._run)

    def _run(self) -> None:
        connection = self.pool.getconn(**self._arguments)
        try:
            if self._order is not None:
                self._order.append(self)
            self.connection = connection
            self._taken.set()
            self._told.wait()
        finally:
            if self.gives_back:
                self.pool.putconn(connection)

    @property
    def error(self) -> BaseException | None:
        """The error that the task ended with."""
        return self.task.error

    @property
    def has_connection(self) -> bool:
        return self.connection is not None

    def taken(self) -> Borrower:
        """Wait until it has a connection."""
        eventually(lambda: self._taken.is_set() or self.task.ended, f"a connection from {self.pool}")
        if self.error is not None:
            raise self.error
        return self

    def tell(self) -> None:
        """Tell it to give back as soon as it has a connection; don't wait."""
        self._told.set()

    def give_back(self) -> None:
        """Tell it to give back, and wait until it has."""
        self.tell()
        self.task.result()

    def end_without_giving_back(self) -> None:
        """Tell it to end without giving back, and wait for its end."""
        self.gives_back = False
        self.give_back()
