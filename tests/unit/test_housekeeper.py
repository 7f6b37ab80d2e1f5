"""The thread or greenlet that does the pool's upkeep."""

from __future__ import annotations

from django_geventpool.pool.housekeeper import Housekeeper
from tests.support.waiting import eventually


def test_one_that_was_ended_from_outside_starts_another() -> None:
    runs: list[int] = []

    def work() -> float | None:
        runs.append(1)
        if len(runs) == 1:
            raise SystemExit  # It ends a thread silently, as GreenletExit does a greenlet.
        return -1

    housekeeper = Housekeeper(work)
    housekeeper.start()
    housekeeper.wake()
    eventually(lambda: len(runs) == 2, "another to work")
    eventually(lambda: not housekeeper.is_running, "the end of the work")


def test_one_that_has_ended_is_started_again() -> None:
    runs: list[int] = []

    def work() -> float | None:
        runs.append(1)
        return -1

    housekeeper = Housekeeper(work)
    housekeeper.start()
    eventually(lambda: len(runs) == 1 and not housekeeper.is_running, "the first to have ended")
    housekeeper.start()
    eventually(lambda: len(runs) == 2, "another to work")


def test_an_error_in_the_work_does_not_end_it() -> None:
    runs: list[int] = []

    def work() -> float | None:
        runs.append(1)
        if len(runs) == 1:
            raise LookupError
        return -1

    housekeeper = Housekeeper(work)
    housekeeper.start()
    eventually(lambda: len(runs) == 1, "the first to have failed")
    housekeeper.wake()
    eventually(lambda: len(runs) == 2, "more work")
