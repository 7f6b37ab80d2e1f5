"""Other runners of tasks, whose workers are threads or greenlets that live on: what gives their connections back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.conf import settings

from tests.support.database import Database
from tests.support.waiting import DEADLINE, eventually

from .conftest import MakeDatabase

TASKS = 6
WORKERS = 2

#: Runs a number of calls of a function in a runner's workers, which are there until the block ends.
Runner = Callable[[Callable[[], object]], AbstractContextManager[None]]


@contextmanager
def dramatiq_with(*middleware: str, function: Callable[[], object]) -> Iterator[None]:
    dramatiq = pytest.importorskip("dramatiq")
    stub = pytest.importorskip("dramatiq.brokers.stub")
    django_dramatiq = pytest.importorskip("django_dramatiq.middleware")
    broker = stub.StubBroker(middleware=[getattr(django_dramatiq, name)() for name in middleware])
    worker = dramatiq.Worker(broker, worker_threads=WORKERS, worker_timeout=50)
    actor = dramatiq.actor(function, broker=broker, actor_name="use")
    worker.start()
    try:
        for _ in range(TASKS):
            actor.send()
        broker.join(actor.queue_name, timeout=int(DEADLINE * 1000))
        worker.join()
        yield
    finally:
        worker.stop()


@contextmanager
def huey_with(decorator: str, *, function: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("huey")
    memory = {"huey_class": "huey.MemoryHuey", "immediate": False, "results": True}
    monkeypatch.setattr(settings, "HUEY", memory, raising=False)
    from huey.contrib import djhuey

    task = getattr(djhuey, decorator)(name=f"use_{decorator}")(function)
    consumer = djhuey.HUEY.create_consumer(workers=WORKERS, worker_type="thread", initial_delay=0.01)
    consumer.start()
    try:
        results = [task() for _ in range(TASKS)]
        for result in results:
            result.get(blocking=True, timeout=DEADLINE)
        yield
    finally:
        consumer.stop(graceful=True)


def use(database: Database) -> bool:
    """Query, and leave the connection to whoever gives it back."""
    return database.fetch("select 1") == [(1,)]


def test_dramatiq_gives_back_by_djangos_middleware(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=WORKERS)
    with dramatiq_with("DbConnectionsMiddleware", function=lambda: use(database)):
        eventually(lambda: database.stats().in_use == 0, "all given back, while the workers wait for more")
    assert database.stats().checkouts >= TASKS


def test_dramatiq_without_it_keeps_a_connection_for_each_worker(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=WORKERS)
    with dramatiq_with(function=lambda: use(database)):
        assert database.stats().in_use >= 1
        assert database.stats().checkouts == database.stats().in_use


@pytest.mark.parametrize("decorator", ["db_task", "task"])
def test_huey_gives_back_after_tasks_of_the_database(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, decorator: str
) -> None:
    database = make_database(MAX_CONNS=WORKERS)
    with huey_with(decorator, function=lambda: use(database), monkeypatch=monkeypatch):
        if decorator == "db_task":
            eventually(lambda: database.stats().in_use == 0, "all given back, while the workers wait for more")
            assert database.stats().checkouts >= TASKS
        else:
            assert database.stats().in_use >= 1
            assert database.stats().checkouts == database.stats().in_use
