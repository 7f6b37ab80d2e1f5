"""Exceptions of a signal handler at random moments of the main thread's tasks, beside threads that work on."""

from __future__ import annotations

import functools
import os
import random
import threading

import pytest

from servers.postgres_address import Postgres
from tests.support.alarm import Alarm
from tests.support.campaign import SEED, Campaign, run_catching
from tests.support.errors_thrown import SoftLimit
from tests.support.observer import Observer
from tests.support.scene import ROWS, Scene
from tests.support.small_programs import PROGRAMS, Program
from tests.support.wholeness import check_whole

from .conftest import MODES

pytestmark = pytest.mark.frameworks("threads")

#: The number of exceptions; ten thousand with EVERY_STEP.
TIMES = int(os.environ.get("SIGNALS") or (10_000 if os.environ.get("EVERY_STEP") else 600))
#: The shortest and longest time until each, in seconds.
AFTER = (0.00005, 0.003)
#: The programs that tasks run: they need no state to begin with, and take milliseconds.
NAMES = {
    "get", "count", "several_queries", "raw_cursor", "create_in_atomic", "nested_atomic", "failing_transaction",
    "on_commit", "autocommit_off", "iterator_half_read", "iterator_in_atomic", "close_in_the_middle",
    "close_connection_block", "driver_connection", "pinned_block",
}  # fmt: skip


@MODES
def test_the_pool_stays_whole_and_its_answers_right(
    postgres: Postgres, observer: Observer, rows: None, mode: str
) -> None:
    chosen = [program for program in PROGRAMS if program.name in NAMES]
    everything = Program("random signals", lambda scene: None)
    campaign = Campaign(f"signals-{mode}", everything, postgres, observer, {"POOL_MODE": mode, "MAX_CONNS": 3})
    scene = campaign.scene
    scene.database.limit = 3
    chance = random.Random(SEED)
    alarm = Alarm()
    over = threading.Event()
    wrong: list[str] = []
    beside = [scene.help(_work_beside, scene, over, wrong) for _ in range(2)]
    raised = tasks = 0
    with alarm.installed():
        while raised < TIMES and not wrong:
            program = chance.choice(chosen)
            tasks += 1
            error = _run_task(scene, program, alarm, chance.uniform(*AFTER))
            raised += alarm.raised is not None
            if error is not None and not _is_of(alarm.raised, error):
                wrong.append(f"{program.name}: {error!r}")
            if (error := run_catching(lambda: _ask(scene))) is not None:
                wrong.append(f"the task after {program.name}: {error!r}")
    over.set()
    print(f"{raised} exceptions in {tasks} tasks, {mode}, FAULT_SEED={SEED}")
    if wrong:
        scene.abandon()
        raise AssertionError(f"after {raised} exceptions: {wrong}")
    for task in beside:
        task.result()
    check_whole(scene.database, observer)
    campaign.close()


def _run_task(scene: Scene, program: Program, alarm: Alarm, after: float) -> BaseException | None:
    """Run one task, and end it as Celery does; return the exception that came out of it."""

    def run() -> None:
        try:
            alarm.set(after)
            try:
                program.run(scene)
            finally:
                scene.give_back()
        finally:
            alarm.call_off()

    # If the signal comes just as the alarm is called off, its exception is caught here too.
    error = run_catching(run)
    alarm.call_off()
    return error or run_catching(scene.give_back)


def _is_of(raised: SoftLimit | None, error: BaseException) -> bool:
    """Return whether an error follows from the exception, as psycopg's do if it interrupted psycopg."""
    return raised is not None and (error is raised or isinstance(error, Exception))


def _ask(scene: Scene) -> None:
    """Make a query as the next task does."""
    assert scene.database.answer("select 7") == [(7,)]


def _work_beside(scene: Scene, over: threading.Event, wrong: list[str]) -> None:
    """Work in another thread, and record what goes wrong there."""
    number = 0
    while not over.is_set():
        number += 1
        error = run_catching(functools.partial(_check_answers, scene, number))
        if error is not None:
            wrong.append(f"beside: {error!r}")
            return


def _check_answers(scene: Scene, number: int) -> None:
    try:
        assert scene.database.fetch("select %s::int", number) == [(number,)]
        assert scene.rows.count() == ROWS
    finally:
        scene.give_back()
