"""Which time limits a task has, and for how long."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, Task, _state
from celery.app.trace import build_tracer

from celery_geventpool import deadlines
from celery_geventpool.worker import has_time_limits
from django_geventpool import here
from django_geventpool.pool.time_limits import TimeLimits


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("deadlines", set_as_current=False, backend="cache+memory://", broker="memory://")
    yield app
    app.close()


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test reads of a worker."""
    monkeypatch.setattr(deadlines, "_defaults", (None, None))
    monkeypatch.setattr(deadlines, "_limit_waits", True)
    monkeypatch.setattr(here, "_getters", {})


def worker(pool: str, *, soft: float | None = None, hard: float | None = None) -> Any:
    """Return what is read of a worker."""
    return types.SimpleNamespace(pool_cls=f"celery.concurrency.{pool}", soft_time_limit=soft, time_limit=hard)


def limits_in(app: Celery, request: dict[str, Any], **options: Any) -> TimeLimits | None:
    """Run a task as a worker does; return the limits that it finds in itself."""
    found: list[TimeLimits | None] = []

    @app.task(name=f"look {len(app.tasks)}", bind=True, shared=False, **options)
    def look(task: Task[..., Any]) -> None:
        deadlines.begin(task)
        found.append(deadlines.current())

    trace = build_tracer(look.name, look, app=app)
    trace("an id", [], {}, request)
    assert found
    return found[0]


def kinds(limits: TimeLimits | None) -> str | None:
    """Return which limit strikes first, in words."""
    assert limits is not None
    left = limits.left_to_wait()
    return None if left is None else left[1]


def test_a_task_without_limits_has_none(app: Celery) -> None:
    assert limits_in(app, {}) is None
    assert limits_in(app, {"timelimit": [None, None]}) is None


def test_the_message_comes_before_the_task_and_that_before_the_worker(app: Celery) -> None:
    deadlines.read_worker(worker("gevent", hard=300))
    assert "hard time limit of 300 s" in str(kinds(limits_in(app, {})))
    assert "hard time limit of 200 s" in str(kinds(limits_in(app, {}, time_limit=200)))
    assert "hard time limit of 100 s" in str(kinds(limits_in(app, {"timelimit": [100, None]}, time_limit=200)))


def test_the_soft_limit_comes_first(app: Celery) -> None:
    assert "soft time limit of 60 s" in str(kinds(limits_in(app, {"timelimit": (100, 60)})))
    deadlines.read_worker(worker("prefork", soft=30, hard=40))
    limits = limits_in(app, {})
    assert "soft time limit of 30 s" in str(kinds(limits))
    assert limits is not None
    left = limits.left_to_execute()
    assert left is not None
    assert 38 < left <= 39.5


def test_the_app_has_limits_for_all_its_tasks(app: Celery) -> None:
    app.conf.task_time_limit = 70
    # Newer versions of Celery give it to the tasks, all to the worker.
    deadlines.read_worker(worker("gevent", hard=app.conf.task_time_limit))
    assert "hard time limit of 70 s" in str(kinds(limits_in(app, {})))


def test_outside_of_tasks_there_are_none(app: Celery) -> None:
    assert limits_in(app, {"timelimit": [100, None]}) is not None
    assert _state.get_current_task() is None
    assert deadlines.current() is None


def test_the_next_task_does_not_inherit_them(app: Celery) -> None:
    assert limits_in(app, {"timelimit": [100, None]}) is not None
    assert limits_in(app, {}) is None


@pytest.mark.parametrize(
    ("pool", "limits_waits"),
    [("gevent", True), ("eventlet", True), ("prefork", True), ("thread", False), ("solo", False)],
)
def test_pools_without_limits_limit_statements_only(app: Celery, pool: str, limits_waits: bool) -> None:
    assert has_time_limits(worker(pool)) is limits_waits
    deadlines.read_worker(worker(pool))
    limits = limits_in(app, {"timelimit": [100, None]})
    assert limits is not None
    assert (limits.left_to_wait() is not None) is limits_waits
    assert limits.left_to_execute() is not None
