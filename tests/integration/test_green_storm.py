"""Hundreds of greenlets at work while a third of them is killed, for STORM_SECONDS."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import ProgrammingError, transaction

from django_geventpool.utils import close_connection
from tests.support.database import Database
from tests.support.tasks import Interruption, Task, is_interruption
from tests.support.watcher import Watcher
from tests.testapp.models import Item

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

SECONDS = float(os.environ.get("STORM_SECONDS", "8"))
GREENLETS = 300
INTERRUPTIONS: tuple[Interruption, ...] = ("kill", "timeout")


def test_storm_every_answer_is_right_and_the_capacity_is_whole_at_the_end(
    make_database: MakeDatabase, schema: None
) -> None:
    databases = [
        make_database(MAX_CONNS=5, CONN_WAIT_TIMEOUT=120),
        make_database(MAX_CONNS=5, CONN_WAIT_TIMEOUT=120, ON_RELEASE_DISCARD_ALL=True, CONN_MAX_LIFETIME=2),
        make_database(MAX_CONNS=5, CONN_WAIT_TIMEOUT=120, POOL_MODE="transaction"),
    ]
    storm = Storm(databases)
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(database.server, database.role)) for database in databases]
        storm.rage(SECONDS)
        seen = [watcher.seen() for watcher in watchers]
    print(f"storm of {SECONDS} s: {dict(storm.counts)}, {storm.endings}, {seen}")
    assert storm.wrong == []
    assert all(sight.most <= 5 for sight in seen)
    for database in databases:
        database.assert_whole()
    assert storm.rows_by_name() == storm.committed
    Item.objects.using(databases[0].alias).filter(name__startswith="storm").delete()
    databases[0].give_back()


Work = Callable[[Database, str], None]


class Storm:
    """Keeps greenlets going; each does work with a known answer, or is killed during it."""

    def __init__(self, databases: list[Database]) -> None:
        self.databases = databases
        self.random = random.Random(SECONDS)
        self.counts: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.wrong: list[str] = []
        #: The numbers of rows that survivors committed, by name.
        self.committed: Counter[str] = Counter()
        self._names = 0
        self._victims: list[tuple[float, Task[None]]] = []
        self._tasks_by_name: dict[str, Task[None]] = {}
        self._names_of_victims: set[str] = set()

    def rage(self, seconds: float) -> None:
        """Go on for a number of seconds at least, until many have survived and many were killed."""
        end = time.monotonic() + seconds
        running: list[tuple[Task[None], bool, str]] = []
        while running or not self._is_over(end):
            while len(running) < GREENLETS and not self._is_over(end):
                running.append(self._start())
            due = [task for when, task in self._victims if when <= time.monotonic()]
            self._victims = [entry for entry in self._victims if entry[0] > time.monotonic()]
            for task in due:
                if not task.ended:
                    self.counts["killed"] += 1
                    task.interrupt(self.random.choice(INTERRUPTIONS))
            for entry in [entry for entry in running if entry[0].ended]:
                running.remove(entry)
                self._note(*entry)
            time.sleep(0.001)

    def _is_over(self, end: float) -> bool:
        enough = self.counts["survived"] > GREENLETS and self.counts["killed"] > GREENLETS / 3
        return enough and time.monotonic() >= end

    def _start(self) -> tuple[Task[None], bool, str]:
        database = self.random.choice(self.databases)
        work = self.random.choice([ask, ask_slowly, insert, insert_and_roll_back, iterate, ask_in_error])
        self._names += 1
        name = f"storm {self._names}"
        is_victim = self.random.random() < 1 / 2  # Some end before they are killed.
        if is_victim and self.random.random() < 3 / 4:
            # So that it is killed at work, not in the queue.
            task = Task(close_connection(self._work_as_victim), work, database, name)
            self._tasks_by_name[name] = task
        else:
            task = Task(close_connection(work), database, name)
            if is_victim:
                self._victims.append((time.monotonic() + self.random.uniform(0, 0.4), task))
        if is_victim:
            self._names_of_victims.add(name)
        elif work is insert:
            self.committed[name] = 1
        return task, is_victim, name

    def _work_as_victim(self, work: Work, database: Database, name: str) -> None:
        database.fetch("select 1")
        self._victims.append((time.monotonic() + self.random.uniform(0, 0.03), self._tasks_by_name[name]))
        work(database, name)

    def _note(self, task: Task[None], is_victim: bool, name: str) -> None:
        self._tasks_by_name.pop(name, None)
        self.endings[type(task.error).__name__] += 1
        if task.error is not None and not (is_victim and is_interruption(task.error)):
            self.wrong.append(f"{name}: {task.error!r}")
        if task.error is None:
            self.counts["survived"] += 1

    def rows_by_name(self) -> Counter[str]:
        """Return the numbers of rows by name, without those of victims, which may or may not have committed."""
        rows = self.databases[0].answer("select name, count(*) from testapp_item where name like 'storm%%' group by 1")
        assert all(count == 1 for _, count in rows), "a row was written twice"
        return Counter({name: count for name, count in rows if name not in self._names_of_victims})


def ask(database: Database, name: str) -> None:
    assert database.fetch("select %s", name) == [(name,)]
    assert database.fetch("select %s, 2", name) == [(name, 2)]


def ask_slowly(database: Database, name: str) -> None:
    assert database.fetch("select %s, pg_sleep(0.05)::text", name) == [(name, "")]


def ask_in_error(database: Database, name: str) -> None:
    with pytest.raises(ProgrammingError, match="operator does not exist"):
        database.fetch("select %s::text / 0", name)


def insert(database: Database, name: str) -> None:
    with transaction.atomic(using=database.alias):
        item = Item.objects.using(database.alias).create(name=name)
        assert Item.objects.using(database.alias).get(pk=item.pk).name == name


def insert_and_roll_back(database: Database, name: str) -> None:
    with transaction.atomic(using=database.alias):
        Item.objects.using(database.alias).create(name=f"{name} rolled back")
        transaction.set_rollback(True, using=database.alias)


def iterate(database: Database, name: str) -> None:
    rows = Item.objects.using(database.alias).raw(
        "select number as id, %s as name, number, '{}'::jsonb as data, now() as changed"
        " from generate_series(1, 300) number",
        [name],
    )
    assert [(item.pk, item.name) for item in rows.iterator()] == [(number, name) for number in range(1, 301)]
