"""The label of the task that runs in a greenlet or thread."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, _state

from celery_geventpool import signals, worker
from celery_geventpool.task import TaskLabel, describe_current_task, forget


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery("labels", set_as_current=False) as app:
        yield app


def work() -> None:
    """Do nothing."""


def run(task: Any, task_id: str, *, is_eager: bool = False) -> None:
    """Begin a task, as Celery does."""
    _state.push_current_task(task)
    task.push_request(id=task_id, called_directly=False, is_eager=is_eager)
    signals.on_task_prerun(task)


def end(task: Any) -> None:
    """End it, but for its connections, of which there are none."""
    if not task.request.is_eager:
        forget()
    task.pop_request()
    _state.pop_current_task()


def test_an_eager_task_has_a_label_of_its_own(app: Celery) -> None:
    outer, inner = app.task(name="outer")(work), app.task(name="inner")(work)
    run(outer, "1")
    assert describe_current_task() == TaskLabel("outer", "1")
    run(inner, "2", is_eager=True)
    assert describe_current_task() == TaskLabel("inner", "2")
    end(inner)
    assert describe_current_task() == TaskLabel("outer", "1")
    end(outer)
    assert describe_current_task() is None


def test_a_label_that_was_kept_too_long_is_nobodys(app: Celery) -> None:
    task = app.task(name="interrupted")(work)
    run(task, "1")
    task.pop_request()
    _state.pop_current_task()
    assert describe_current_task() is None
    run(task, "2")
    assert describe_current_task() == TaskLabel("interrupted", "2")
    end(task)


@pytest.mark.parametrize(
    ("before", "after"), [(700, worker.YOUNG_OBJECTS), (2000, worker.YOUNG_OBJECTS), (5000, 5000), (0, 0)]
)
def test_a_workers_garbage_collections_wait_unless_somebody_has_set_when(before: int, after: int) -> None:
    usual = gc.get_threshold()
    try:
        gc.set_threshold(before, *usual[1:])
        worker.freeze_gc()
        assert gc.get_threshold() == (after, *usual[1:])
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
