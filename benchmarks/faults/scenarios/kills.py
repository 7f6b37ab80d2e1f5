"""Greenlets that are killed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ...contenders import LIMIT
from ..contenders import PATIENCE
from ..findings import Finding, going_on
from ..scenario import Scenario, Setting
from ..stage import SEEN_SECONDS, Stage

_WAITERS = 20
#: How long greenlets may take to begin to wait (seconds): from outside, it can't be seen that they do.
_MOMENT = 0.5
_LONG_QUERY = 30
_TIME_LIMIT = 1.0


def _kill_waiters(stage: Stage) -> Iterator[Finding]:
    holders, _ = stage.hold()
    waiters = stage.subject.start("query", [{"seconds": SEEN_SECONDS}] * _WAITERS)
    time.sleep(_MOMENT)
    stage.subject.ask("kill", numbers=waiters)
    stage.subject.wait(waiters, PATIENCE)
    stage.release(holders)
    yield from stage.look_afterwards()


def _kill_queries(stage: Stage) -> Iterator[Finding]:
    numbers = stage.start_queries(seconds=_LONG_QUERY)
    stage.subject.ask("kill", numbers=numbers)
    stage.subject.wait(numbers, PATIENCE)
    yield going_on(stage.going_on())
    yield from stage.look_afterwards()


def _exceed_time_limit(stage: Stage) -> Iterator[Finding]:
    numbers = stage.start_queries(seconds=_LONG_QUERY, time_limit=_TIME_LIMIT)
    stage.subject.wait(numbers, _TIME_LIMIT + PATIENCE)
    yield going_on(stage.going_on())
    yield from stage.look_afterwards()


SCENARIOS = (
    Scenario(
        "killed-waiters",
        "Greenlets are killed while they wait for a connection",
        f"{LIMIT} greenlets hold a connection each, and {_WAITERS} more want one. These are killed "
        "(`greenlet.kill()`); "
        "then the others go on.",
        f"Afterwards {LIMIT} connections can be lent, {_WAITERS} tasks at once all succeed, and there were never more "
        "than "
        f"{LIMIT} connections.",
        _kill_waiters,
    ),
    Scenario(
        "killed-queries",
        "Greenlets are killed in the middle of a query",
        f"{LIMIT} greenlets run a query of {_LONG_QUERY} s each, and are killed.",
        f"A second later the server is at work on none of them. {LIMIT} connections can be lent, tasks all succeed and "
        f"have the answers to their own queries, and there were never more than {LIMIT} connections.",
        _kill_queries,
    ),
    Scenario(
        "time-limit",
        "Tasks of a worker exceed their time limit in a query",
        f"{LIMIT} tasks of a Celery worker run a query of {_LONG_QUERY} s each, with a `time_limit` of "
        f"{_TIME_LIMIT:.0f} s.",
        "The same as for killed queries.",
        _exceed_time_limit,
        Setting(concurrency=50),
    ),
)
