"""Addresses that did not answer a moment ago are tried last, and not by everybody again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_geventpool.drivers import dead_hosts, patience
from django_geventpool.drivers.dead_hosts import RETRY_AFTER, SLOW, DeadHosts
from django_geventpool.drivers.patience import Attempt, Patience
from django_geventpool.drivers.waiting import POLLIN

SILENT = "connection to server failed: connect_timeout expired"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Interruption(BaseException):
    """A kill, or a task's timeout."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosts(clock: Clock) -> DeadHosts:
    return DeadHosts(clock, OSError)


def order(hosts: DeadHosts, *targets: str) -> list[str]:
    """Return the order in which to try addresses, those of last resort in brackets."""
    return [
        f"({target})" if is_last_resort else target for target, is_last_resort in hosts.in_order(targets or "ab", str)
    ]


def fail(hosts: DeadHosts, clock: Clock, address: str, seconds: float, error: BaseException) -> None:
    def attempt() -> None:
        with hosts.attempt(address):
            clock.now += seconds
            raise error

    with pytest.raises(type(error)):
        attempt()


def test_who_did_not_answer_is_tried_last(hosts: DeadHosts, clock: Clock) -> None:
    assert order(hosts) == ["a", "b"]
    fail(hosts, clock, "a", SLOW, OSError(SILENT))
    assert order(hosts) == ["b", "(a)"]
    fail(hosts, clock, "b", SLOW, OSError(SILENT))
    assert order(hosts) == ["(a)", "(b)"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "connection refused"),  # It costs the next one nothing.
        (SLOW - 0.1, SILENT),
        (SLOW, "connection failed: FATAL:  sorry, too many clients already"),  # It lives.
    ],
)
def test_who_has_answered_or_was_quick_keeps_its_place(
    hosts: DeadHosts, clock: Clock, seconds: float, words: str
) -> None:
    fail(hosts, clock, "a", seconds, OSError(words))
    assert order(hosts) == ["a", "b"]


def test_now_and_then_one_connect_tries_it_in_its_turn(hosts: DeadHosts, clock: Clock) -> None:
    fail(hosts, clock, "a", 3.0, OSError(SILENT))
    clock.now += RETRY_AFTER - 0.1
    assert order(hosts) == ["b", "(a)"]
    clock.now += 0.1
    assert order(hosts) == ["a", "b"]
    assert order(hosts) == ["b", "(a)"], "the others don't wait for what that finds"


def test_where_each_attempt_takes_long_they_are_fewer(hosts: DeadHosts, clock: Clock) -> None:
    fail(hosts, clock, "a", 130.0, OSError(SILENT))
    for _ in range(3):
        clock.now += 2 * 130 - 1
        assert order(hosts) == ["b", "(a)"]
        clock.now += 1
        assert order(hosts) == ["a", "b"]


@pytest.mark.parametrize("error", [None, OSError("connection refused"), OSError("FATAL:  the system is starting up")])
def test_who_answers_again_has_its_place_again(hosts: DeadHosts, clock: Clock, error: Exception | None) -> None:
    fail(hosts, clock, "a", SLOW, OSError(SILENT))
    if error is None:
        with hosts.attempt("a"):
            clock.now += 5.0
    else:
        fail(hosts, clock, "a", 0.1, error)
    assert order(hosts) == ["a", "b"]
    assert order(hosts) == ["a", "b"]


def test_who_is_interrupted_soon_has_found_nothing_and_later_the_same(hosts: DeadHosts, clock: Clock) -> None:
    fail(hosts, clock, "a", 0.1, Interruption())
    assert order(hosts) == ["a", "b"]
    fail(hosts, clock, "a", SLOW, Interruption())
    assert order(hosts) == ["b", "(a)"]
    fail(hosts, clock, "a", 0.1, Interruption())
    assert order(hosts) == ["b", "(a)"]


@pytest.mark.parametrize("words", ["soft time limit", "MyTimeout:  over"])
def test_a_users_own_exception_is_an_interruption_too(hosts: DeadHosts, clock: Clock, words: str) -> None:
    fail(hosts, clock, "a", SLOW, RuntimeError(words))
    assert order(hosts) == ["b", "(a)"]
    fail(hosts, clock, "a", 0.1, RuntimeError(words))
    assert order(hosts) == ["b", "(a)"], "the address has not answered"


def test_threads_may_find_out_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_hosts, "SLOW", 0.0)
    hosts = DeadHosts(connect_error=OSError)
    interval = sys.getswitchinterval()

    def find_out(thread: int) -> None:
        for number in range(500):
            with contextlib.suppress(OSError), hosts.attempt((thread, number % 100)):
                raise OSError(SILENT)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(find_out, range(4))) == [None] * 4
    finally:
        sys.setswitchinterval(interval)


def test_those_that_wait_there_learn_of_it_and_say_nothing_themselves(hosts: DeadHosts, clock: Clock) -> None:
    def wait_in_vain() -> None:
        with hosts.attempt("a") as attempt:
            with hosts.attempt("b") as attempt_of_b:
                fail(hosts, clock, "a", SLOW, OSError(SILENT))
                assert attempt.is_hopeless()
                assert not attempt_of_b.is_hopeless()
            with hosts.attempt("a") as later:
                assert not later.is_hopeless(), "it knew before it began"
                fail(hosts, clock, "a", SLOW, OSError(SILENT))
                assert later.is_hopeless()
                raise OSError("given up")

    with pytest.raises(OSError, match="given up"):
        wait_in_vain()
    assert order(hosts) == ["b", "(a)"]


def test_each_is_asked_for_when_it_is_its_turn(hosts: DeadHosts) -> None:
    asked = []

    def targets() -> Iterator[str]:
        for name in "abc":
            asked.append(name)
            yield name

    tries = hosts.in_order(targets(), str)
    assert next(tries) == ("a", False)
    assert asked == ["a"]


def test_addresses_that_nobody_tries_any_more_are_forgotten(hosts: DeadHosts, clock: Clock) -> None:
    for number in range(1000):
        fail(hosts, clock, str(number), SLOW, OSError(SILENT))
    assert len(hosts._deaths) < 500  # noqa: SLF001
    assert order(hosts, "999", "a") == ["a", "(999)"]


@pytest.mark.parametrize("error", [OSError(SILENT), KeyboardInterrupt(), TimeoutError()])
def test_who_has_answered_is_not_dead(hosts: DeadHosts, clock: Clock, error: BaseException) -> None:
    fail(hosts, clock, "a", SLOW, OSError(SILENT))
    assert order(hosts, "a", "b") == ["b", "(a)"]

    def fail_late() -> None:
        with hosts.attempt("a") as attempt:
            clock.now += SLOW
            attempt.is_answered = True
            clock.now += SLOW
            raise error

    with pytest.raises(type(error)):
        fail_late()
    assert order(hosts, "a", "b") == ["a", "b"]


# How long a connect waits


class Waits:
    """Waits for a socket that is ready after a number of waits; None for never."""

    def __init__(self, ready_after: int | None = None, then: Callable[[], object] = bool) -> None:
        self.ready_after = ready_after
        self.times: list[float | None] = []
        self.then = then

    def __call__(self, fd: int, events: int, timeout: float | None) -> int:
        self.times.append(timeout)
        self.then()
        return events if len(self.times) == self.ready_after else 0


def test_it_waits_until_there_is_an_answer() -> None:
    waits = Waits(ready_after=20)
    assert Patience(None, Attempt()).wait(waits, 3, 1) == 1
    assert len(waits.times) == 20


def test_it_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(patience.time, "monotonic", clock)

    def pass_time() -> None:
        clock.now += waits.times[-1] or 0

    waits = Waits(then=pass_time)
    patient = Patience(1.1, Attempt())
    assert patient.wait(waits, 3, 1) == 0
    assert clock.now == pytest.approx(101.1)
    assert patient.end == SILENT


def test_it_gives_up_when_another_has_found_that_nobody_answers() -> None:
    found: list[int] = []
    waits = Waits(then=lambda: found.append(1))
    patient = Patience(None, Attempt(lambda: len(found) >= 3))
    assert patient.wait(waits, 3, 1) == 0
    assert len(waits.times) == 3
    assert "in vain" in patient.end


def test_who_has_answered_is_waited_for() -> None:
    found: list[int] = []
    waits = Waits(ready_after=1, then=lambda: found.append(1))
    patient = Patience(None, Attempt(lambda: len(found) >= 3))
    assert patient.wait(waits, 3, POLLIN) == POLLIN
    waits.ready_after = 6
    assert patient.wait(waits, 3, POLLIN) == POLLIN, "it is slow, and lives"
