"""Whose time is over, and when the next one's is."""

from __future__ import annotations

import math

from django_geventpool.pool.deadlines import Deadlines
from django_geventpool.pool.holder import Holder
from django_geventpool.pool.slot import Request


def request(timeout: float | None, deadline: float | None) -> Request:
    made = Request(Holder("somebody", None), None, timeout)
    made.deadline = deadline
    return made


def test_those_whose_time_is_over_in_any_order_of_patience() -> None:
    patient, hasty, for_ever = request(30, 130), request(1, 105), request(None, None)
    waiting = [patient, for_ever, hasty]
    deadlines = Deadlines(waiting)
    for one in waiting:
        deadlines.add(one)
    assert deadlines.next() == 105
    assert deadlines.pop_late(104) is None
    assert deadlines.pop_late(200) in (patient, hasty)
    assert deadlines.pop_late(200) in (patient, hasty)
    assert deadlines.pop_late(200) is None
    assert deadlines.next() == math.inf


def test_one_that_waits_once_more_is_not_forgotten_behind_others() -> None:
    first, second, third = request(5, 105), request(5, 107), request(5, 106)
    waiting = [second]
    deadlines = Deadlines(waiting)
    deadlines.add(second)
    waiting += [first, third]
    deadlines.add(first)
    deadlines.add(third)
    assert [deadlines.pop_late(200) for _ in range(3)] == [first, third, second]


def test_those_that_wait_no_more_are_dropped() -> None:
    waiting: list[Request] = []
    deadlines = Deadlines(waiting)
    for number in range(100):
        waiting.append(request(5, 100 + number))
        deadlines.add(waiting[-1])
        del waiting[:-1]
    assert sum(map(len, deadlines._queues.values())) <= 2
    waiting.clear()
    assert deadlines.pop_late(1000) is None
    assert deadlines.next() == math.inf
    assert not deadlines._queues
