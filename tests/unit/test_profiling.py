"""What the profile of the benchmarks makes of sampled stacks."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.profiling.options import parse_options
from benchmarks.profiling.parts import OTHER, PARTS, Profile, part_of, read
from benchmarks.profiling.report import as_markdown
from benchmarks.profiling.run import Run
from benchmarks.workloads import WORKLOADS

TASK = "_get (subject/workloads.py);ModelIterable.__iter__ (django/db/models/query.py)"
CONNECT = "BaseDatabaseWrapper.ensure_connection (django/db/backends/base/base.py)"
CLOSE = "_Tracked.close (django_geventpool/backends/cursors.py)"
GIVE_BACK = "PoolModeMixin.give_back_if_free (django_geventpool/backends/pool_mode.py)"
MAKE = "ConnectionHandler.create_connection (django/db/utils.py)"
LOCK = "LockType.acquire (gevent/thread.py)"


@pytest.mark.parametrize(
    ("frames", "title"),
    [
        ([TASK], "ORM"),
        ([TASK, CONNECT], "Django's connect around the checkout"),
        ([TASK, CONNECT, "Pool.getconn (django_geventpool/pool/pool.py)", LOCK], "checkout from the pool"),
        ([TASK, "CursorWrapper._execute (django/db/backends/utils.py)", LOCK], "the statement: driver and waiting"),
        ([TASK, CLOSE], "making and closing cursors"),
        ([TASK, CLOSE, GIVE_BACK], "return to the pool"),
        ([TASK, MAKE, LOCK], "making Django's wrapper"),
        (["Worker.start (celery/worker/worker.py)", "Hub.run (gevent/hub.py)"], "Celery"),
        (["Hub.run (gevent/hub.py)"], "gevent's hub"),
        (["main (subject/in_process.py)"], OTHER),
    ],
)
def test_a_stack_belongs_to_the_innermost_part(frames: list[str], title: str) -> None:
    assert part_of(";".join(frames)) == title


def test_what_comes_before_the_tasks_is_left_out() -> None:
    profile = read(
        ["main (a.py);_find_and_load (<frozen importlib._bootstrap>) 70\n", f"{TASK} 20\n", "odd (b.py) 10\n"]
    )
    assert profile.samples == {"ORM": 20, OTHER: 10}
    assert (profile.total, profile.share("ORM")) == (30, pytest.approx(2 / 3))


def test_a_profile_without_samples_has_no_shares() -> None:
    assert read([]).share("ORM") == 0


def test_the_table_has_a_line_for_each_part_that_was_seen() -> None:
    profile = Profile(Counter({PARTS[0].title: 1, OTHER: 3}))
    text = as_markdown([Run(CONTENDERS[0], "worker", WORKLOADS[1], profile, 200.0)], "a machine")
    assert [line for line in text.splitlines() if line.startswith("|")] == [
        f"| part | {CONTENDERS[0].title} |",
        "| --- | ---: |",
        f"| {PARTS[0].title} | 50 (25%) |",
        "| other | 150 (75%) |",
        "| all | 200 (100%) |",
    ]
    assert "celery worker -P gevent -c 100: one ORM get" in text


def test_options_choose_contenders_and_places() -> None:
    options = parse_options(["--contenders", "session", "--workers-only", "--workload", "none"])
    assert [contender.name for contender in options.contenders] == ["session"]
    assert (options.places, options.workload.name) == (("worker",), "none")
    assert parse_options([]).places == ("in process", "worker")
