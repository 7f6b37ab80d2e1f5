"""Servers that close connections, are full, restart, are gone, or change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg2

from servers.postgres_standby import demote

from ...contenders import LIMIT
from ..contenders import PATIENCE
from ..findings import Finding, database_errors, failed, longest, within
from ..recovery import BACK_SECONDS, find_recovery
from ..scenario import Scenario, Setting
from ..stage import ROLE, Stage

_TASKS = 20
#: How long the server is full (seconds).
_FULL_SECONDS = 2.0
#: How long tasks may wait for a room that there is again (seconds).
_ROOM_SECONDS = 3.0
#: How long tasks run before an outage, and after it (seconds).
_BEFORE, _AFTER = 2.0, 6.0
#: What an error may take beside the time that a task may wait (seconds).
_MARGIN = 3.0
_CPU_SECONDS = 2.0
#: The part of a CPU that may be used for nothing.
_CPU_PART = 0.2
_BACK_AT_THE_MOST = 20.0
_READ_ONLY_SECONDS = 1.0


def _drop_connections(stage: Stage) -> Iterator[Finding]:
    stage.warm_up()
    stage.query(f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '{ROLE}'")
    yield failed(stage.run("query", [{}] * _TASKS))
    yield from stage.look_afterwards(counts_connections=False)


def _fill_server(stage: Stage) -> Iterator[Finding]:
    stage.query(f"ALTER ROLE {ROLE} CONNECTION LIMIT {LIMIT}")
    with ExitStack() as others:
        for _ in range(LIMIT):
            others.enter_context(closing(psycopg2.connect(**stage.dsn)))
        numbers = stage.subject.start("query", [{}] * _TASKS)
        time.sleep(_FULL_SECONDS)
    began = time.monotonic()
    tasks = stage.subject.wait(numbers, 3.0 * PATIENCE)
    yield failed(tasks)
    if all(task.ended is not None for task in tasks):
        yield within(max(0.0, time.monotonic() - began), _ROOM_SECONDS, "all ended")
    yield from stage.look_afterwards(counts_connections=False)


def _restart_server(stage: Stage) -> Iterator[Finding]:
    stage.subject.ask("load", name="work", width=_TASKS)
    time.sleep(_BEFORE)
    down = time.monotonic()
    stage.server.restart()
    up = time.monotonic()
    time.sleep(_AFTER)
    over = time.monotonic()
    yield from find_recovery(stage.subject.unload(), down, up, over)


def _stop_server(stage: Stage) -> Iterator[Finding]:
    stage.warm_up()
    stage.server.stop()
    tasks = stage.run("query", [{}] * LIMIT)
    yield within(longest(tasks), PATIENCE + _MARGIN, "errors")
    yield from database_errors(tasks)
    part = stage.cpu_part(_CPU_SECONDS)
    yield Finding(f"{part:.0%} of a CPU meanwhile", part <= _CPU_PART)
    stage.server.start()
    yield within(stage.seconds_to_success(_BACK_AT_THE_MOST), BACK_SECONDS, "back", watched=_BACK_AT_THE_MOST)
    yield from stage.look_afterwards(counts_connections=False)


def _fail_over(stage: Stage) -> Iterator[Finding]:
    assert stage.standby is not None
    assert stage.network is not None
    stage.subject.ask("load", name="write", width=_TASKS)
    time.sleep(_BEFORE)
    down = time.monotonic()
    demote(stage.server)
    stage.standby.promote()
    # The name still leads to the old one, which answers, but only reading queries.
    time.sleep(_READ_ONLY_SECONDS)
    stage.network.move(stage.standby.host, stage.standby.port)
    up = time.monotonic()
    time.sleep(_AFTER)
    over = time.monotonic()
    yield from find_recovery(stage.subject.unload(), down, up, over)


SCENARIOS = (
    Scenario(
        "dropped-connections",
        "The server closes all idle connections",
        f"`pg_terminate_backend` ends all {LIMIT} sessions while nobody uses them. Then {_TASKS} greenlets run a query "
        "each.",
        "None fails, then or afterwards.",
        _drop_connections,
    ),
    Scenario(
        "full-server",
        "The server has no room",
        f"The role's CONNECTION LIMIT of {LIMIT} is taken by others when {_TASKS} greenlets want to run a query. "
        f"{_FULL_SECONDS:.0f} s later the others leave.",
        f"No task fails, as a task may wait for {PATIENCE} s; all have ended {_ROOM_SECONDS:.0f} s after there was "
        "room.",
        _fill_server,
    ),
    Scenario(
        "restart",
        "The server restarts under load",
        f"In a Celery worker, {_TASKS} tasks at a time run queries of 20 ms. The server restarts, and ends their "
        "sessions.",
        "Tasks fail while it is away. Four fifths as many as before succeed in half a second that begins not later "
        "than "
        f"{BACK_SECONDS:.0f} s after it is back, and from then on none fails.",
        _restart_server,
        Setting(concurrency=50),
    ),
    Scenario(
        "server-down",
        "The server is down",
        f"The server is stopped when the pool has {LIMIT} idle connections. {LIMIT} greenlets run a query each. When "
        "they "
        f"have ended, the process's CPU is measured for {_CPU_SECONDS:.0f} s; then the server is started, and one task "
        "after the other tries its luck.",
        f"Each has an error of `django.db`'s within {PATIENCE + _MARGIN:.0f} s ({PATIENCE} s of waiting, and a "
        "margin); no "
        f"more than {_CPU_PART:.0%} of a CPU is used; the first success comes within {BACK_SECONDS:.0f} s; all "
        "connections can be lent.",
        _stop_server,
    ),
    Scenario(
        "fail-over",
        "The standby takes over",
        f"{_TASKS} greenlets at a time write rows. The server restarts as a standby, as after a fail-over, and its "
        "standby "
        f"becomes the primary; {_READ_ONLY_SECONDS:.0f} s later new connections lead to that. Present ones stay.",
        "The same as for a restart, counted from when new connections lead to the new primary.",
        _fail_over,
        Setting(has_network=True, has_standby=True),
    ),
)
