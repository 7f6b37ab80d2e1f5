"""When a worker is ready, and what it says if it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery.worker import state as worker_state

from celery_geventpool import operations, processes, readiness
from celery_geventpool.readiness import LONG_WAIT, SUSTAINED, Readiness


class World:
    """What a worker would see: the time, its servers, and the pools of its processes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timeouts: dict[str, float | None] = {"default": 15.0}
        self.silent_servers: set[str] = set()
        self.asked: list[str] = []
        self.pools: list[dict[str, Any]] = []

    def pool(self, alias: str = "default", pid: int = 1, **numbers: Any) -> None:
        """Set the numbers of a pool."""
        self.pools = [pool for pool in self.pools if (pool["alias"], pool["pid"]) != (alias, pid)]
        self.pools.append({"alias": alias, "pid": pid, "longest_wait": 0.0, "connect_failed_ago": None, **numbers})

    def answers(self, alias: str, timeout: float) -> bool | None:
        self.asked.append(alias)
        assert timeout <= 1
        return alias not in self.silent_servers


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(readiness.time, "monotonic", lambda: world.now)
    monkeypatch.setattr("django_geventpool.backends.pools.server_answers", world.answers)
    monkeypatch.setattr(operations, "wait_timeouts", lambda: world.timeouts)
    monkeypatch.setattr(processes, "ask_all", lambda _method: ([world.pools], []))
    return world


@pytest.fixture
def worker(world: World) -> Readiness:
    worker = Readiness()
    worker.has_started = True
    return worker


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what Celery sets when a worker is to stop."""
    return lambda name: monkeypatch.setattr(worker_state, name, 0)


def test_a_worker_is_ready_from_its_start_to_the_signal_that_ends_it(
    worker: Readiness, stop: Callable[[str], None]
) -> None:
    worker.has_started = False
    assert str(worker.verdict()) == "not ready: the worker is starting"
    worker.has_started = True
    assert str(worker.verdict()) == "ready"
    stop("should_stop")
    assert str(worker.verdict()) == "not ready: the worker is shutting down"


def test_a_worker_that_is_terminated_is_not_ready(worker: Readiness, stop: Callable[[str], None]) -> None:
    stop("should_terminate")
    assert not worker.verdict().is_ready


def test_a_server_is_asked_every_few_seconds_at_the_most(world: World, worker: Readiness) -> None:
    for _ in range(10):
        assert worker.verdict().is_ready
        world.now += 1
    assert world.asked == ["default"] * 2
    world.silent_servers.add("default")
    world.now += 5
    assert str(worker.verdict()) == "not ready: default: the server does not answer"


def test_each_alias_is_asked_and_named(world: World, worker: Readiness) -> None:
    world.timeouts = {"default": None, "reports": 15.0, "audit": 0.0}
    world.silent_servers = {"reports", "audit"}
    assert worker.verdict().reasons == (
        "reports: the server does not answer",
        "audit: the server does not answer",
    )


def test_a_worker_without_pools_is_ready(world: World, worker: Readiness) -> None:
    world.timeouts = {}
    assert worker.verdict().is_ready
    assert world.asked == []


def test_a_connect_that_failed_a_moment_ago_counts_until_one_succeeds_or_nobody_tries(
    world: World, worker: Readiness
) -> None:
    world.pool(connect_failed_ago=3.0)
    world.pool(pid=2)
    assert worker.verdict().reasons == ("default: connecting failed 3.0 s ago, and has not succeeded since",)
    world.pool(connect_failed_ago=60.0)
    assert worker.verdict().is_ready
    world.pool(connect_failed_ago=None)
    assert worker.verdict().is_ready


def test_long_waits_count_when_they_have_lasted(world: World, worker: Readiness) -> None:
    world.pool(longest_wait=LONG_WAIT + 1)
    for _ in range(int(SUSTAINED / 5)):
        assert worker.verdict().is_ready
        world.now += 5
    assert worker.verdict().reasons == ("default: tasks wait too long for connections, now 6.0 s, and have for 30.0 s",)
    # One look at which nobody waits for long ends it.
    world.pool(longest_wait=LONG_WAIT / 2)
    world.now += 5
    assert worker.verdict().is_ready
    world.pool(longest_wait=LONG_WAIT + 1)
    world.now += 5
    assert worker.verdict().is_ready


@pytest.mark.parametrize(
    ("timeout", "longest_wait", "is_long"),
    [(2.0, 1.2, True), (2.0, 0.8, False), (15.0, 4.0, False), (None, 6.0, True), (0.0, 4.0, False), (60.0, 5.0, True)],
)
def test_what_a_long_wait_is_follows_the_timeout(
    world: World, worker: Readiness, timeout: float | None, longest_wait: float, is_long: bool
) -> None:
    world.timeouts = {"default": timeout}
    world.pool(longest_wait=longest_wait)
    worker.verdict()
    world.now += SUSTAINED
    assert worker.verdict().is_ready is not is_long


def test_one_process_of_several_is_enough_for_long_waits(world: World, worker: Readiness) -> None:
    world.pool(pid=1)
    world.pool(pid=2, longest_wait=10.0)
    worker.verdict()
    world.now += SUSTAINED
    assert not worker.verdict().is_ready
