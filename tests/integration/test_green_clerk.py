"""Outcomes of tasks are stored even if the clerk's greenlet is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from celery_geventpool import outcomes
from celery_geventpool.outcomes import Clerk
from django_geventpool import green
from tests.support.tasks import FRAMEWORK, Task, current_greenlet
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize("times", [1, 2])
def test_a_clerk_that_is_killed_before_its_first_step(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    start, killed = green.start_thread, []

    def start_and_kill(function: Callable[..., object], *args: Any) -> None:
        if len(killed) == times:
            start(function, *args)
        elif FRAMEWORK == "gevent":
            import gevent

            killed.append(gevent.spawn(function, *args))
            killed[-1].kill(block=False)
        else:
            import eventlet

            killed.append(eventlet.spawn(function, *args))
            killed[-1].cancel()

    monkeypatch.setattr(outcomes.green, "start_thread", start_and_kill)
    done: list[int] = []
    tasks = [Task(clerk.do, lambda number=number: done.append(number), "not done") for number in range(3)]
    assert [task.result() for task in tasks] == [True] * 3
    assert done == [0, 1, 2]
    assert len(killed) == times


def test_a_clerk_that_is_killed_at_its_work(clerk: Clerk, caplog: pytest.LogCaptureFixture) -> None:
    """The kill doesn't reach the caller that waits, and later calls are made."""
    working: list[Any] = []

    def work() -> None:
        working.append(current_greenlet())
        threading.Event().wait(DEADLINE)

    first = Task(clerk.do, work, "The first was not done")
    eventually(lambda: working, "the clerk at work")
    second = Task(clerk.do, lambda: None, "not done")
    eventually(lambda: len(clerk.pending()) == 2, "both with the clerk")
    if FRAMEWORK == "gevent":
        import gevent
        import greenlet

        gevent.get_hub().loop.run_callback(working[0].throw, greenlet.GreenletExit())
    else:
        import eventlet

        eventlet.spawn_n(eventlet.kill, working[0])
    assert first.result() is False
    assert second.result() is True
    assert "The first was not done" in caplog.text
