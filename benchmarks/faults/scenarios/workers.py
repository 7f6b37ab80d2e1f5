"""What Celery workers do with pools: start many tasks at once, revoke tasks, and end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from servers.process import wait_until

from ...contenders import LIMIT
from ..contenders import PATIENCE
from ..findings import Finding, failed, going_on, most_connections, within
from ..scenario import Scenario, Setting
from ..stage import Stage

_BURST = 200
_BURST_SECONDS = 40.0
_REVOKED = 20
_LONG_QUERY = 30
_SHORT_QUERY = 1.5
#: How long a worker may take to end by itself (seconds).
_END_SECONDS = 15.0
#: How long the server may take to find out that a process is gone (seconds).
_GONE_SECONDS = 3.0


def _burst(stage: Stage) -> Iterator[Finding]:
    tasks = stage.run("query", [{"seconds": 0.05}] * _BURST, _BURST_SECONDS)
    yield failed(tasks)
    yield most_connections(stage.most_sessions())


def _revoke(stage: Stage) -> Iterator[Finding]:
    numbers = stage.start_queries(_REVOKED, _LONG_QUERY)
    stage.subject.ask("kill", numbers=numbers)
    wait_until(lambda: _count_revoked(stage) >= _REVOKED, PATIENCE)
    stored = _count_revoked(stage)
    yield Finding(f"{stored} of {_REVOKED} results stored", stored == _REVOKED)
    yield going_on(stage.going_on(), "revoked queries")
    yield from stage.look_afterwards()


def _count_revoked(stage: Stage) -> int:
    return int(stage.query("SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'REVOKED'"))


def _end_warmly(stage: Stage) -> Iterator[Finding]:
    stage.warm_up()
    stage.subject.start("query_and_write", [{"seconds": _SHORT_QUERY}] * LIMIT)
    wait_until(lambda: stage.sessions("query LIKE '%pg_sleep%' AND state = 'active'") >= LIMIT, PATIENCE)
    yield within(stage.subject.end(signal.SIGTERM, _END_SECONDS), _END_SECONDS, "ended")
    rows = int(stage.query("SELECT count(*) FROM written"))
    yield Finding(f"{rows} of {LIMIT} tasks finished", rows == LIMIT)
    yield _left(stage)


def _end_coldly(stage: Stage) -> Iterator[Finding]:
    stage.start_queries(seconds=_LONG_QUERY)
    yield within(stage.subject.end(signal.SIGQUIT, _END_SECONDS), _END_SECONDS, "ended")
    yield going_on(stage.going_on(_GONE_SECONDS), "queries")
    yield _left(stage)


def _kill_worker(stage: Stage) -> Iterator[Finding]:
    stage.start_queries(seconds=_LONG_QUERY)
    stage.subject.end(signal.SIGKILL, _END_SECONDS)
    yield going_on(stage.going_on(_GONE_SECONDS), "queries")


def _left(stage: Stage) -> Finding:
    # PgBouncer keeps its own idle connections.
    wait_until(lambda: stage.sessions("state <> 'idle'") == 0, 1)
    left = stage.sessions("state <> 'idle'")
    return Finding(f"{left} sessions stay", left == 0)


SCENARIOS = (
    Scenario(
        "burst",
        f"{_BURST} tasks at once",
        f"A Celery worker with {_BURST} greenlets has as many tasks, each with a query of 50 ms.",
        f"None fails, and there are never more than {LIMIT} connections.",
        _burst,
        Setting(concurrency=_BURST),
    ),
    Scenario(
        "revoked",
        "Tasks are revoked, with results in the database",
        f"{_REVOKED} tasks of a Celery worker, of which {LIMIT} are in a query of {_LONG_QUERY} s, are revoked "
        "(`terminate=True`). Their results go to the same database (django-celery-results).",
        f"All {_REVOKED} results are stored within {PATIENCE} s; for the rest as for killed queries.",
        _revoke,
        Setting(concurrency=50, stores_results=True),
    ),
    Scenario(
        "warm-shutdown",
        "A worker is asked to end (SIGTERM)",
        f"A Celery worker gets SIGTERM while {LIMIT} tasks are in a query of {_SHORT_QUERY} s, after which they write "
        "a row.",
        f"All finish, the worker has ended after {_END_SECONDS:.0f} s, and leaves no session.",
        _end_warmly,
        Setting(concurrency=50),
    ),
    Scenario(
        "cold-shutdown",
        "A worker is to end at once (SIGQUIT)",
        f"A Celery worker gets SIGQUIT while {LIMIT} tasks are in a query of {_LONG_QUERY} s.",
        f"The worker ends, and {_GONE_SECONDS:.0f} s later the server is at work on none of them.",
        _end_coldly,
        Setting(concurrency=50),
    ),
    Scenario(
        "killed-worker",
        "A worker is killed (SIGKILL)",
        "The same with SIGKILL, as by the kernel when memory is short.",
        f"{_GONE_SECONDS:.0f} s later the server is at work on none of its queries.",
        _kill_worker,
        Setting(concurrency=50),
    ),
)
