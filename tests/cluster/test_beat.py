"""Tasks that beat sends, by its schedule in the database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import eventually

from .cluster_worker import ClusterWorker, pools_once

SUCCEEDED = "Task smoke_project.tasks.double["


@pytest.fixture
def runs_before(worker: ClusterWorker) -> int:
    """Schedule the task before beat is started; return how often it has run by then.

    Beat misses changes between its first reading of the schedule and its first check for changes.
    """
    runs = worker.node.logs().count(SUCCEEDED)
    worker.run("schedule", worker.name, "double", 0.2)
    return runs


@pools_once("gevent", "prefork")
def test_scheduled_tasks(worker: ClusterWorker, runs_before: int, beat: Any) -> None:
    eventually(lambda: worker.node.logs().count(SUCCEEDED) >= runs_before + 10, "tasks that beat has sent")
    beats = f"SELECT count(*) FROM pg_stat_activity WHERE split_part(application_name, ' ', 1) = '{worker.name}-beat'"
    assert int(worker.server.query(beats)[0][0]) <= worker.limit
    assert "Scheduler: Sending due task" in beat.logs()
    worker.run("unschedule", worker.name)
    beat.kill("SIGTERM")
    eventually(lambda: worker.server.query(beats) == [["0"]], "no connection of beat")
