"""Tasks that time out at a full pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..workers import Worker, result_of


@pytest.fixture(scope="module", params=[*GREEN, "threads"])
def narrow_worker(request: pytest.FixtureRequest, start_module_worker: StartWorker) -> Worker:
    return start_module_worker(request.param, {"MAX_CONNS": 1, "CONN_WAIT_TIMEOUT": 0.05}, concurrency=10)


def test_a_full_pool_fails_the_task_with_the_pools_numbers(narrow_worker: Worker, tmp_path: Path) -> None:
    holder = narrow_worker.send("hold_until", str(tmp_path / "go"))
    eventually(lambda: narrow_worker.numbers()["in_use"] == 1, "the only connection in use")
    task = narrow_worker.send("double", 1)
    with pytest.raises(
        Exception, match=rf"limit 1, in use 1.*longest holder task .*hold_until\[{holder.id}\]"
    ) as error:
        result_of(task)
    assert type(error.value).__name__ == "PoolTimeout"
    (tmp_path / "go").touch()
    result_of(holder)


def test_autoretry_for_operational_error_retries_a_task_that_found_the_pool_full(
    narrow_worker: Worker, tmp_path: Path
) -> None:
    holder = narrow_worker.send("hold_until", str(tmp_path / "go"))
    eventually(lambda: narrow_worker.numbers()["in_use"] == 1, "the only connection in use")
    task = narrow_worker.send("double_with_retries", 21)
    narrow_worker.wait_for_log(rf"{task.id}\] retry: Retry in .*PoolTimeout")
    (tmp_path / "go").touch()
    assert result_of(task) == 42
    result_of(holder)
    eventually(narrow_worker.is_quiet, "a quiet pool")
    assert narrow_worker.opened() == 1
