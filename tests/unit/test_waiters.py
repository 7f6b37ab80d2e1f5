"""The deadlines of waiters: whose are over, and when the next is."""

from __future__ import annotations

import math
import random

from django_geventpool.pool.holder import Holder
from django_geventpool.pool.slot import Request
from django_geventpool.pool.waiters import Deadlines


def request(timeout: float | None, deadline: float | None) -> Request:
    made = Request(Holder("somebody", None), None, timeout)
    made.deadline = deadline
    return made


def in_order(deadlines: Deadlines) -> list[Request]:
    """Take all requests out, the earliest deadline first."""
    order = []
    while (first := deadlines.first()) is not None:
        order.append(first)
        deadlines.remove(first)
    return order


def test_the_first_to_be_late_may_be_one_of_little_patience() -> None:
    patient, hasty, for_ever = request(30, 130), request(1, 105), request(None, None)
    deadlines = Deadlines()
    for one in (patient, for_ever, hasty):
        deadlines.add(one)
    assert deadlines.next() == 105
    deadlines.remove(for_ever)
    assert in_order(deadlines) == [hasty, patient]
    assert deadlines.next() == math.inf


def test_one_that_waits_once_more_is_not_forgotten_behind_others() -> None:
    first, second, third = request(5, 105), request(5, 107), request(5, 106)
    deadlines = Deadlines()
    for one in (second, first, third):
        deadlines.add(one)
    assert in_order(deadlines) == [first, third, second]


def test_nothing_is_left_of_those_that_wait_no_more() -> None:
    deadlines = Deadlines()
    patient = request(3600, 3700)
    deadlines.add(patient)
    for number in range(100):
        killed = request(5 + number % 2, 105)
        deadlines.add(killed)
        deadlines.remove(killed)
    assert deadlines.first() is patient
    assert len(deadlines) == 1


def test_the_order_is_right_whoever_goes() -> None:
    chance = random.Random(1)
    deadlines, waiting = Deadlines(), []
    for _ in range(2000):
        if chance.random() < 0.5:
            waiting.append(request(5, 100 + chance.randrange(50)))
            deadlines.add(waiting[-1])
        elif waiting:
            deadlines.remove(waiting.pop(chance.choice((0, chance.randrange(len(waiting))))))
        waiting.sort(key=lambda one: (one.deadline, one.ticket))
        assert len(deadlines) == len(waiting)
        assert deadlines.first() is next(iter(waiting), None)
    assert in_order(deadlines) == waiting
