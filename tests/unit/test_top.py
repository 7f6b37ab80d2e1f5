"""The table that ``top`` makes of the workers' answers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from celery_geventpool.top import samples
from celery_geventpool.top.asking import _cleaned
from celery_geventpool.top.samples import Sample
from celery_geventpool.top.table import draw
from django_geventpool.pool.counters import BOUNDS, Histogram


def times(*seconds: float) -> dict[str, Any]:
    histogram = Histogram()
    for time in seconds:
        histogram.record(time)
    recorded = histogram.snapshot()
    return {"count": recorded.count, "total": recorded.total, "counts": list(recorded.counts)}


def pool(alias: str = "default", pid: int = 1, **numbers: Any) -> dict[str, Any]:
    return {
        "alias": alias,
        "pid": pid,
        "limit": 4,
        "in_use": 2,
        "idle": 0,
        "waiting": 0,
        "timeouts": 0,
        "checkouts": 10,
        "wait_time": times(),
        "longest_holder": None,
        "longest_held": 0.0,
        **numbers,
    }


def sample(when: float, *pools: Mapping[str, Any], worker: str = "w@host", tasks: int = 0, **unused: int) -> Sample:
    return Sample(worker, when, {"pools": list(pools), "unused": unused, "tasks": tasks, "silent": []})


def test_of_one_answer_the_numbers_are_those_of_the_pools_life() -> None:
    now = sample(100.0, pool(checkouts=10, wait_time=times(0.02, 0.02)), tasks=12)
    (row,) = samples.rows(now, None)
    assert (row.changes["checkouts"], row.changes["wait_time"].count, samples.tasks(now, None)) == (10, 2, 12)


def test_of_two_answers_they_are_those_of_the_time_between() -> None:
    before = sample(100.0, pool(checkouts=10, wait_time=times(0.02)), tasks=12)
    now = sample(102.0, pool(checkouts=40, wait_time=times(0.02, 3.0, 3.0)), tasks=20)
    (row,) = samples.rows(now, before)
    assert (row.changes["checkouts"], samples.tasks(now, before)) == (15.0, 4.0)
    wait = row.changes["wait_time"]
    assert (wait.count, wait.total) == (2, pytest.approx(6.0))
    assert 2.5 < wait.quantile(0.5) < 5


def test_a_pool_that_was_made_anew_has_counted_from_zero() -> None:
    before = sample(100.0, pool(checkouts=100, wait_time=times(1, 1, 1)))
    (row,) = samples.rows(sample(101.0, pool(checkouts=5, wait_time=times(1))), before)
    assert (row.changes["checkouts"], row.changes["wait_time"].count) == (5.0, 1)
    (row,) = samples.rows(sample(101.0, pool(checkouts=5, pid=2)), before)
    assert row.changes["checkouts"] == 5.0


def test_a_worker_that_was_just_met_has_no_rates_yet() -> None:
    now = sample(100.0, pool(), tasks=5)
    (row,) = samples.rows(now, now)
    assert row.changes["checkouts"] is None
    assert samples.tasks(now, now) is None


def test_a_pool_that_is_not_used_yet_has_a_limit() -> None:
    (row,) = samples.rows(sample(100.0, reports=7), None)
    assert (row.alias, row.numbers["limit"], row.numbers["in_use"], row.pid) == ("reports", 7, 0, None)


def shown(
    *now: Sample, before: dict[str, Sample] | None = None, width: int = 160, encoding: str = "utf-8"
) -> list[str]:
    """Return the lines of a table as words; the first worker answered the last question."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width)
    console.print(draw(now, before, now[0].when, console))
    file.seek(0)
    return [" ".join(line.split()) for line in file.read().splitlines() if line.strip()]


def test_a_table_of_workers_and_their_pools() -> None:
    busy = pool(in_use=4, waiting=7, timeouts=2, wait_time=times(0.2, 20), longest_holder="task t[1]", longest_held=2.5)
    heading, _, *rows = shown(
        sample(100.0, busy, tasks=90, reports=2),
        sample(100.0, pool(pid=7), pool(pid=8, in_use=0), worker="a@host", tasks=1),
    )
    assert heading == "worker pool in use idle waiting wait p50 wait p95 timeouts tasks checkouts longest holder"
    assert rows == [
        "a@host default in 7 █████░░░░░ 2/4 0 0 - - 0 1 10",
        "default in 8 ░░░░░░░░░░ 0/4 0 0 - - 0 10",
        f"w@host default ██████████ 4/4 0 7 ~250 ms over {BOUNDS[-1]:.0f} s 2 90 10 2.5 s task t[1]",
        "reports ░░░░░░░░░░ 0/2 0 0 - - 0 0",
    ]


def test_a_table_of_what_happens() -> None:
    before = sample(100.0, pool(checkouts=0))
    heading, _, row, *_ = shown(sample(102.0, pool(checkouts=5), tasks=60), before={"w@host": before})
    assert "tasks/s checkouts/s" in heading
    assert row == "w@host default █████░░░░░ 2/4 0 0 - - 0 30 2.5"


def test_more_than_a_lowered_limit_fills_the_bar_only() -> None:
    assert "██████████ 6/2" in shown(sample(100.0, pool(limit=2, in_use=6)))[2]


def test_workers_that_are_silent_or_can_not_answer_say_so() -> None:
    lines = shown(
        sample(100.0, pool()),
        Sample("old@host", 95.0, {"pools": [], "unused": {}, "tasks": 0}),
        Sample("other@host", 100.0, {"error": "KeyError('pools')"}),
    )
    assert any("no database with a pool" in line for line in lines)
    assert any("silent for 5 s" in line for line in lines)
    assert any("can't answer: KeyError('pools')" in line for line in lines)


def fleet(age: float = 0.4, **changed: Any) -> dict[str, Any]:
    """Return what a pool in a fleet answers in addition."""
    seen = {
        "age": age,
        "scope": "role",
        "owner": "shop",
        "limit": 25,
        "sessions": 23,
        "pools": 2,
        "demand": 80,
        "max_conns": 80,
        "strangers": 3,
        "others": {"psql": 2, "role reporting": 1},
    }
    return {"fleet": {**seen, **changed}, "fleet_limit": 22, "fleet_share": 11, "connecting": 0}


def test_a_fleet_has_columns_and_one_line_of_the_latest_look() -> None:
    heading, _, *rows, line = shown(
        sample(100.0, pool(limit=20, in_use=11, waiting=30, **fleet())),
        sample(100.0, pool(limit=20, in_use=9, **fleet(7.0, strangers=4)), worker="a@host"),
        width=200,
    )
    assert heading.startswith("worker pool in use idle waiting share demand wait p50")
    assert rows == [
        "a@host default █████░░░░░ 9/20 0 0 11 9 - - 0 0 10",
        "w@host default ██████░░░░ 11/20 0 30 11 20 - - 0 0 10",
    ]
    assert line == (
        "fleet of default: limit 25 (CONNECTION LIMIT of the role shop), 23 sessions: 20 of 2 pools, which may have 22 "
        "and want 80, 3 of others (psql 2, role reporting 1); seen 400 ms ago"
    )


def test_workers_that_know_of_no_fleet_have_no_share() -> None:
    older = {name: value for name, value in pool().items() if not name.startswith("fleet")}
    lines = shown(
        sample(100.0, older, worker="older@host"),
        sample(100.0, pool(connecting=0, fleet=None, fleet_limit=0, fleet_share=0), reports=2, worker="new@host"),
        sample(100.0, pool(**fleet()), worker="w@host"),
        Sample("x@host", 100.0, {"error": "no"}),
        width=200,
    )
    assert lines[2] == "new@host default █████░░░░░ 2/4 0 0 - - - - 0 0 10"
    assert lines[4] == "older@host default █████░░░░░ 2/4 0 0 - - - - 0 0 10"
    assert lines[5] == "w@host default █████░░░░░ 2/4 0 0 11 2 - - 0 0 10"


def test_limits_of_several_owners_have_a_line_each() -> None:
    lines = shown(
        sample(100.0, pool(**fleet()), pool("reports", **fleet(owner="reports"))),
        sample(100.0, pool("old", is_fleet_readable=False), worker="x@host"),
        width=250,
    )
    assert [line.partition(",")[0] for line in lines[-3:]] == [
        "fleet of default: limit 25 (CONNECTION LIMIT of the role shop)",
        "fleet of old: not known: the server's session list can't be read",
        "fleet of reports: limit 25 (CONNECTION LIMIT of the role reports)",
    ]


def test_what_has_no_room_is_left_out() -> None:
    now = sample(100.0, pool(longest_holder="task t[1]"), worker="celery@host")
    assert shown(now, width=160)[2] == "celery@host default █████░░░░░ 2/4 0 0 - - 0 0 10 0 ms task t[1]"
    assert shown(now, width=120)[2] == "celery@host default █████░░░░░ 2/4 0 0 - - 0 0 10"
    assert shown(now, width=100)[2] == "celery@host default 2/4 0 0 - - 0 0 10"
    assert shown(now, width=80)[2] == "celery@host default 2/4 0 - - 0 0"


def test_names_of_workers_and_tasks_can_not_change_the_table() -> None:
    answer = {
        "pools": [pool("[red]shop", longest_holder="task x[1]\n\x1b[2Jforged", longest_held=1.0)],
        "unused": {"a\nb": 3},
        "tasks": 0,
        "silent": [],
    }
    now = Sample("[bold]w@host", 100.0, _cleaned(answer))
    _, _, *rows = shown(now, width=200)
    assert rows == [
        r"[bold]w@host [red]shop █████░░░░░ 2/4 0 0 - - 0 0 10 1.0 s task x[1]\n\x1b[2Jforged",
        r"a\nb ░░░░░░░░░░ 0/3 0 0 - - 0 0",
    ]


@pytest.mark.parametrize("answer", ["what?\n", 5, None, ["x"], {}, {"ok": "pong"}, {"error": "no\n"}])
def test_an_answer_that_is_none_is_shown_as_an_error(answer: object) -> None:
    assert any("can't answer: " in line for line in shown(Sample("w@host", 100.0, _cleaned(answer))))


def test_a_terminal_that_knows_ascii_only_gets_no_blocks() -> None:
    assert "#####..... 2/4" in "\n".join(shown(sample(100.0, pool()), encoding="ascii"))
