"""The worker of a cluster, whose connections are watched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from celery.result import AsyncResult
from pytest_celery import CeleryTestSetup

from tests.smoke.watched_worker import WatchedWorker, result_of
from tests.support.waiting import eventually

from .nodes.databases import Database
from .nodes.plans import ARRANGEMENTS, LIMITS, PAIRWISE, WorkerPlan


def pools(*names: str, broker: str | None = None) -> pytest.MarkDecorator:
    """Return a mark that runs a test with some classes of pools only, on each broker or on one."""
    chosen = [some for some in ARRANGEMENTS if some.pool in names and broker in (None, some.broker)]
    return pytest.mark.parametrize("arrangement", chosen, indirect=True, ids=str)


def pools_once(*names: str) -> pytest.MarkDecorator:
    """Have a test run once with each class of pool, or with some: for what the brokers don't do differently in each."""
    chosen = [some for some in PAIRWISE if some.pool in (names or LIMITS)]
    return pytest.mark.parametrize("arrangement", chosen, indirect=True, ids=str)


def results_of(tasks: Iterable[AsyncResult[Any]]) -> list[Any]:
    """Wait for tasks, and return their results."""
    return [result_of(task) for task in tasks]


class ClusterWorker(WatchedWorker):
    """The only worker of one of pytest-celery's setups."""

    def __init__(self, setup: CeleryTestSetup, plan: WorkerPlan, database: Database) -> None:
        self.node = setup.worker
        self.client = setup.app
        self.hostname = setup.worker.hostname()
        self.name = plan.name
        self.server = database
        self.pool = plan.pool
        self.limit = plan.limit
        self.concurrency = plan.concurrency
        #: The number of tasks that can have a connection at the same time.
        self.at_once = plan.concurrency if plan.pool == "prefork" else plan.limit
        #: MAX_CONNS in all of its processes together.
        self.bound = plan.limit * plan.processes

    @property
    def is_running(self) -> bool:
        return bool(self.node.container.status == "running")

    def signature(self, task: str, *args: object, **options: Any) -> Any:
        """Return a task's signature, for Celery's canvas."""
        return self.client.signature(f"smoke_project.tasks.{task}", args=args, **options)

    def busy(self) -> int:
        """Return how many tasks have a connection, or wait for one for their first query.

        With prefork, whose connections are its children's, it is the number of tasks in a query.
        """
        if self.pool == "prefork":
            return self.active("pg_sleep")
        numbers = self.numbers()
        return int(numbers["in_use"] + numbers["waiting"])

    def await_busy(self, count: int) -> None:
        eventually(lambda: self.busy() == count, f"{count} tasks of {self.name} that run")

    def await_end(self) -> None:
        """Wait until the worker is gone."""

        def has_ended() -> bool:
            self.node.container.reload()
            return not self.is_running

        eventually(has_ended, f"the end of {self.name}")

    def assert_bounded_and_quiet(self) -> None:
        """Assert that worker and server say that no connection is in use, and that there never were too many."""
        if self.is_running:
            eventually(self.is_quiet, f"a quiet pool of {self.name}")
            eventually(lambda: self.sessions("state <> 'idle'") == 0, f"no connection of {self.name} in use")
            assert self.connections() <= self.bound
        else:
            eventually(lambda: self.connections() == 0, f"no connection of {self.name}, which has ended")
        assert self.peak() <= self.bound
