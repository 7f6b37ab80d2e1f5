"""What the benchmarks of growth and fairness make of their measurements, and what the picture shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.fairness.options import parse_options as parse_fairness
from benchmarks.fairness.report import as_markdown as fairness_as_markdown
from benchmarks.fairness.summary import Fairness, Job, ideal, summarize
from benchmarks.fairness.summary import find_faults as find_faults_of_fairness
from benchmarks.growth.contenders import CONTENDERS
from benchmarks.growth.options import is_measured, parse_options
from benchmarks.growth.report import as_markdown
from benchmarks.growth.summary import Point, find_faults
from benchmarks.growth.summary import summarize as summarize_growth
from benchmarks.machine import Machine
from benchmarks.report import HEADLINE, headline
from benchmarks.results import Plan, Summary
from benchmarks.workloads import Place

PLAN = Plan(warm_up=10, tasks=100, cool_down=0)
MACHINE = Machine("2026-11-27", 2, "a CPU", 0.5, "Linux", {"Python": "3.11"})
BY_NAME = {contender.name: contender for contender in CONTENDERS}


def outcome(cpu: float, gc: float = 0.0, rss: int = 0, running: int = 10) -> dict[str, Any]:
    times = {"seconds": 1.0, "cpu_seconds": cpu * PLAN.tasks, "gc_seconds": gc * PLAN.tasks}
    return {**times, "ended": PLAN.total, "rss": rss, "running": running, "tracked": 10 * running, "errors": {}}


def point(greenlets: int, wrote: dict[str, Any] | None, contender: str = "transaction") -> Point:
    return Point.take(contender, "in process", greenlets, PLAN, wrote, peak=10, last="Killed")


def test_growth_is_the_most_costly_size_to_the_least_costly_one_with_and_without_collections() -> None:
    points = [point(100, outcome(0.001)), point(1000, outcome(0.0015, gc=0.0004)), point(5000, outcome(0.0009))]
    (growth,) = summarize_growth(points)
    assert growth.span == pytest.approx(1.5 / 0.9)
    assert growth.span_without_collections == pytest.approx(1.1 / 0.9)


def test_the_least_of_the_rounds_counts() -> None:
    (growth,) = summarize_growth([point(100, outcome(cpu)) for cpu in (0.001, 0.009, 0.002)])
    assert growth.cpu == {100: 0.001}
    assert growth.span is None


def test_memory_of_a_waiter_is_what_further_ones_take() -> None:
    few, many = outcome(0.001, rss=50_000_000, running=100), outcome(0.001, rss=80_000_000, running=1100)
    (growth,) = summarize_growth([point(100, few), point(1100, many)])
    assert growth.waiter_bytes == 30_000
    assert growth.waiter_objects == 10


def test_a_process_that_wrote_nothing_is_an_error_and_no_figure() -> None:
    (growth,) = summarize_growth([point(100, outcome(0.001)), point(1000, None)])
    assert growth.cpu == {100: 0.001}
    assert growth.errors == PLAN.total
    assert growth.reasons == ("not ended in time; Killed",)
    (fault,) = find_faults([growth], CONTENDERS)
    assert "110 errors: not ended in time; Killed" in fault


def test_only_ours_have_to_keep_the_limit() -> None:
    ours, peer = (replace(point(100, outcome(0.001), name), peak=80) for name in ("session", "django-db-geventpool"))
    assert find_faults(summarize_growth([ours, peer]), CONTENDERS) == ["session, in process: 80 connections, limit 10"]


def test_growth_as_a_table() -> None:
    points = [point(100, outcome(0.001, gc=0.0001)), point(1000, outcome(0.0011)), point(100, None, "session")]
    text = as_markdown(summarize_growth(points), MACHINE, "one ORM get", rounds=1)
    assert "| celery-geventpool, transaction | 1,000 (100) | 1,100 (0) | 1.10 | 1.22 | - | - | 10 | 0 |" in text
    assert "| celery-geventpool, session | - | - | - | - | - | - | 10 | 110 |" in text
    assert "In a worker" not in text


def test_contenders_are_measured_where_a_task_has_a_greenlet_that_may_wait() -> None:
    assert not is_measured(BY_NAME["persistent"], "in process")
    assert is_measured(BY_NAME["persistent"], "worker")
    assert is_measured(BY_NAME["persistent-greenlets"], "in process")
    assert not is_measured(BY_NAME["persistent-greenlets"], "worker")
    assert is_measured(BY_NAME["transaction"], "in process")
    assert is_measured(BY_NAME["switches"], "in process")
    assert is_measured(BY_NAME["switches"], "worker")


def test_sizes_of_the_command_line_are_sorted() -> None:
    options = parse_options(["--greenlets", "1000", "100", "1000", "--workers-only"])
    assert options.sizes == (100, 1000)
    assert options.places == ("worker",)


def test_waits_are_from_arrival_to_the_begin_of_the_query() -> None:
    jobs = [Job(came=number, began=number + wait) for number, wait in enumerate((1.0, 2.0, 3.0))]
    fairness = summarize("session", jobs, number=3, peak=10)
    assert (fairness.p50, fairness.longest, fairness.behind_turn) == (2.0, 3.0, 0.0)
    assert fairness.per_second == pytest.approx(2 / 4)
    assert not fairness.failed


def test_who_is_served_last_though_it_came_first_is_behind_its_turn() -> None:
    jobs = [Job(came=0, began=9), Job(came=1, began=2), Job(came=2, began=3)]
    assert summarize("session", jobs, number=3, peak=10).behind_turn == 7


def test_failed_jobs_are_counted_and_have_no_waits() -> None:
    jobs = [Job(came=0, began=None, error="PoolTimeout"), Job(came=1, began=2)]
    fairness = summarize("session", jobs, number=3, peak=12)
    assert fairness.failed == {"PoolTimeout": 1, "not ended in time": 1}
    assert fairness.longest == 1
    assert find_faults_of_fairness([fairness], {"session": 10}) == [
        "session: 2 jobs failed: PoolTimeout, not ended in time",
        "session: 12 connections, limit 10",
    ]
    assert find_faults_of_fairness([fairness], {"transaction": 10}) == []


def test_none_served_has_no_figures() -> None:
    nothing = summarize("session", [], number=1, peak=0)
    assert nothing == Fairness("session", None, None, None, None, None, {"not ended in time": 1}, 0)


def test_at_twice_the_capacity_the_last_one_waits_half_the_time() -> None:
    best = ideal(number=4000, rate=400, capacity=200)
    assert best.longest == pytest.approx(10, abs=0.01)
    assert best.p50 == pytest.approx(5, abs=0.01)
    assert best.behind_turn == 0


def test_fairness_as_a_table() -> None:
    options = parse_fairness(["--seconds", "2", "--query-seconds", "0.1"])
    assert (options.rate, options.jobs) == (200, 400)
    results = [summarize("session", [Job(0, 1), Job(1, 3)], number=2, peak=10), summarize("django", [], 1, 500)]
    text = fairness_as_markdown(results, options, MACHINE)
    assert "200 jobs a second for 2 s, each a query of 100 ms: 2 times what 10 connections can serve" in text
    assert "| celery-geventpool, session | 1.50 | 2.00 | 2.00 | 0.00 | 0 | 0 | 10 |" in text
    assert "- Django, a connection per greenlet: 1 x not ended in time" in text


def test_the_picture_shows_one_workload_of_workers_without_bounds_and_other_limits() -> None:
    def of(contender: str, speed: float | None, place: Place = "worker", workload: str = HEADLINE) -> Summary:
        return Summary(contender, place, workload, 1, speed, None, None, 10, 0, {})

    others = [of("persistent", 700), of("transaction-100", 800), of("session", 900, workload="get")]
    shown = [of("django", 200), of("pgbouncer", None), of("transaction", 600)]
    named = [one.contender for one in headline([*others, *shown, of("django", 300, place="in process")])]
    assert named == ["transaction", "django", "pgbouncer"]
