"""What a worker in mode "session" says of tasks that mode "transaction" would pin (SESSION_STATE "warn")."""

from __future__ import annotations

import re

import pytest

from tests.support.waiting import eventually

from ..conftest import StartWorker
from ..workers import PROJECT_FOLDER, Worker, result_of

SOURCE = "smoke_project/tasks.py"


def line_that_leaves(what: str) -> int:
    """Return the number of the line of the tasks' module that leaves something, as its comment says."""
    lines = (PROJECT_FOLDER / SOURCE).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if f"# The line that leaves a {what}." in line)


def warnings(worker: Worker) -> list[tuple[str, str, str, int]]:
    """Return task, kind, file and line of each warning of the log."""
    found = re.findall(
        r"WARNING.*Pool \"default\": task (\S+) leaves something in the session of the server: .* \((\w+)\), "
        rf"at \S*?({re.escape(SOURCE)}):(\d+)\.",
        worker.log,
    )
    return [(task, kind, file, int(line)) for task, kind, file, line in found]


# In each framework: tests/integration/test_session_state_policies.py.
@pytest.mark.parametrize("pool", ["gevent"])
def test_each_task_that_would_pin_is_named_once_with_its_line(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3, "SESSION_STATE": "warn"})
    sent = [worker.send(task) for _ in range(10) for task in ("leave_setting", "leave_lock_and_channel")]
    sent += worker.send_many(10, "double", 2)
    for result in sent:
        result_of(result)
    eventually(lambda: len(warnings(worker)) >= 3, "three warnings")
    assert sorted(warnings(worker)) == [
        ("smoke_project.tasks.leave_lock_and_channel", "advisory_lock", SOURCE, line_that_leaves("lock")),
        ("smoke_project.tasks.leave_lock_and_channel", "listen", SOURCE, line_that_leaves("channel")),
        ("smoke_project.tasks.leave_setting", "setting", SOURCE, line_that_leaves("setting")),
    ]
    assert worker.log.count("leaves something in the session") == 3
    assert "77MB" not in worker.log
    worker.assert_whole()
