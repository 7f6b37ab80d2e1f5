"""The surroundings of small programs: aliases on a real server, rows to read, and helper tasks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from django_geventpool.pool import Pool
from django_geventpool.utils import end_task
from servers.postgres_address import Postgres
from tests.testapp.models import Item

from . import inside
from .database import Database
from .observer import Observer
from .tasks import FRAMEWORK, Task
from .waiting import eventually

#: The limit of the aliases: more than one, so that a single connection can be lost.
LIMIT = 2
#: The number of rows to read.
ROWS = 30
#: The name of the rows to read, and of those that programs write.
READ, WRITTEN = "scene to read", "scene written"


class Scene:
    """Two aliases with a limit of LIMIT each: ``database``, and ``other`` for programs that need a second one.

    :param options: the OPTIONS of both.
    :param settings: other settings of both, such as HOST.
    """

    def __init__(self, server: Postgres, observer: Observer, options: dict[str, Any], **settings: Any) -> None:
        self.server = server
        self.observer = observer
        self._options: dict[str, Any] = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 10, **options}
        self._settings = settings
        self.database = Database(server, self._options, **settings)
        self._other: Database | None = None
        #: Tells helpers to end.
        self.over = threading.Event()
        self._helpers: list[Task[Any]] = []

    @property
    def other(self) -> Database:
        if self._other is None:
            self._other = Database(self.server, self._options, **self._settings)
        return self._other

    @property
    def databases(self) -> list[Database]:
        return [self.database] if self._other is None else [self.database, self._other]

    @property
    def alias(self) -> str:
        return self.database.alias

    @property
    def pool(self) -> Pool:
        return self.database.pool

    @property
    def items(self) -> QuerySet[Item]:
        """All rows of the test app."""
        return Item.objects.using(self.alias)

    @property
    def rows(self) -> QuerySet[Item]:
        """The rows to read, numbered from 0."""
        return self.items.filter(name=READ).order_by("number")

    def write(self, **values: Any) -> Item:
        return self.items.create(name=WRITTEN, **values)

    # Helpers

    def help(self, function: Callable[..., object], *args: Any) -> Task[Any]:
        """Run a function in a helper task, beside the program."""
        task = Task(function, *args)
        self._helpers.append(task)
        return task

    def hold_all(self) -> threading.Event:
        """Let helpers hold all connections until the returned event is set, or the run is over."""
        let_go = threading.Event()
        held = [self.help(self._hold, let_go) for _ in range(LIMIT)]
        eventually(
            lambda: self.pool.stats().in_use == LIMIT or any(task.error for task in held), "all connections held"
        )
        return let_go

    def _hold(self, let_go: threading.Event) -> None:
        pool, over = self.pool, self.over
        connection = pool.getconn()
        try:
            while not (let_go.is_set() or over.is_set()):
                time.sleep(0.001)
        finally:
            pool.putconn(connection)

    def set_when_waited_for(self, event: threading.Event) -> None:
        """Let a helper set an event as soon as a request waits for a connection."""

        pool, over = self.pool, self.over

        def look() -> None:
            while not (pool.stats().waiting or over.is_set()):
                time.sleep(0.001)
            event.set()

        self.help(look)

    def end_helpers(self) -> None:
        """End the helpers, and wait for their ends."""
        self.over.set()
        helpers, self._helpers = self._helpers, []
        for helper in helpers:
            if FRAMEWORK != "threads" and not helper.ended:
                helper.interrupt()
            helper.wait()
        self.over = threading.Event()

    # States that programs begin with

    def make_cold(self) -> None:
        """Close all connections."""
        self.pool.close_idle()
        eventually(lambda: self.pool.stats().size == 0, "no connection left")

    def make_other(self) -> None:
        """Make the second alias, with its role on the server."""
        assert self.other

    def lose_connections(self) -> None:
        """Make the server end the idle connections."""
        self.database.answer("select 1")
        assert self.observer.end(self.database.role)

    # The end of a run

    def give_back(self) -> None:
        """Close the wrappers of the current greenlet or thread, as the end of a task does."""
        for database in self.databases:
            if hasattr(_wrappers(), database.alias):
                database.give_back()
        end_task()

    def close(self) -> None:
        """Close the pools, and remove the aliases."""
        self.end_helpers()
        for database in self.databases:
            database.close()

    def abandon(self) -> None:
        """Remove the aliases without touching their pools, whatever state these are in."""
        self.over.set()
        for database in self.databases:
            alias = database.alias
            inside.forget_pool(alias)
            connections.settings.pop(alias)
            with contextlib.suppress(Exception):
                getattr(_wrappers(), alias).forget_connection()
            with contextlib.suppress(AttributeError):
                delattr(_wrappers(), alias)
            self.observer.end(database.role)


def _wrappers() -> Any:
    """Return Django's storage of this greenlet's or thread's wrappers, as a look-up by alias would make one."""
    return connections._connections  # type: ignore[attr-defined]  # noqa: SLF001


def make_rows(server: Postgres) -> None:
    """Insert the rows to read."""
    remove_rows(server)
    server.query(
        f"INSERT INTO testapp_item (name, number, data, changed) SELECT '{READ}', number, '{{}}', now()"
        f" FROM generate_series(0, {ROWS - 1}) number"
    )


def remove_rows(server: Postgres) -> None:
    """Delete the rows to read, and those that programs have written."""
    server.query(f"DELETE FROM testapp_item WHERE name IN ('{READ}', '{WRITTEN}')")
