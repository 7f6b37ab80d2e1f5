"""What the benchmark of fleets makes of tasks and sessions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from benchmarks.fleet.contenders import CONTENDERS, Contender
from benchmarks.fleet.report import as_markdown
from benchmarks.fleet.run import Run
from benchmarks.fleet.scenarios import SCENARIOS, Phase, Shape, schedule
from benchmarks.fleet.statistics import Counts, Figures, Sample, Task, measure, seconds_to_rate
from benchmarks.fleet.summary import Summary, find_faults, missed_after_changes, missed_goals, summarize

QUERY = 0.1
NOTHING = Counts(refused=0, connects=0, transactions=0)
SHAPE = Shape(workers=2, max_conns=4, limit=4)
PHASE = Phase("all busy", begin=10, end=20, busy=frozenset({0, 1}), limit=4)


def tasks_of(worker: int, rate: float, begin: float, end: float) -> list[Task]:
    """Return tasks that end at equal distances."""
    count = round((end - begin) * rate)
    ends = [begin + (number + 0.5) / rate for number in range(count)]
    return [Task(worker, ended - QUERY, ended) for ended in ends]


def figures_of(tasks: list[Task], samples: list[Sample] | None = None, phase: Phase = PHASE) -> Figures:
    return measure(phase, SHAPE, QUERY, tasks, samples or [], NOTHING)


def test_throughput_is_the_part_of_what_the_limit_allows() -> None:
    # Four connections run forty queries of 0.1 s in a second.
    figures = figures_of([*tasks_of(0, 20, 5, 25), *tasks_of(1, 10, 5, 25)])
    assert figures.throughput == pytest.approx(0.75)
    assert figures.least_share == pytest.approx(10 / 15)


def test_the_possible_is_less_if_the_busy_workers_may_not_have_all_connections() -> None:
    lone = Phase("one busy", begin=10, end=20, busy=frozenset({0}), limit=40)
    figures = figures_of(tasks_of(0, 36, 10, 20), phase=lone)
    assert figures.throughput == pytest.approx(0.9)
    assert figures.least_share is None


def test_what_idle_workers_and_failed_tasks_did_does_not_count() -> None:
    lone = Phase("one busy", begin=10, end=20, busy=frozenset({0}), limit=4)
    failed = [Task(0, 11, 12, "PoolTimeout"), Task(0, 11, 13, "OperationalError"), Task(0, 1, 2, "PoolTimeout")]
    figures = figures_of([*tasks_of(1, 40, 10, 20), *failed], phase=lone)
    assert figures.throughput == 0
    assert (figures.timeouts, figures.other_errors) == (1, 1)


def test_a_worker_without_tasks_has_no_share_and_never_reaches_half_of_it() -> None:
    figures = figures_of(tasks_of(0, 40, 10, 20))
    assert figures.least_share == 0
    assert figures.seconds_to_half is None
    assert figures.seconds_to_nearly_all == 0


def test_a_rate_is_reached_with_the_first_window_that_has_enough() -> None:
    times = sorted(task.ended or 0 for task in [*tasks_of(0, 10, 0, 3), *tasks_of(0, 40, 3, 10)])
    assert seconds_to_rate(times, 10, 10) == 0
    assert seconds_to_rate(times, 38, 10) == 3
    assert seconds_to_rate(times, 41, 10) is None
    # Nor after the time that is looked at.
    assert seconds_to_rate(times, 38, 3) is None


def test_half_a_share_counts_from_the_worker_that_is_last() -> None:
    figures = figures_of([*tasks_of(0, 30, 10, 20), *tasks_of(1, 2, 10, 14), *tasks_of(1, 11, 14, 20)])
    assert figures.seconds_to_half == pytest.approx(4, abs=0.3)


def test_the_longest_wait_is_that_of_tasks_that_began_in_the_phase_those_that_never_ended_included() -> None:
    waiting = [Task(0, 5, 20), Task(0, 11, 13), Task(1, 12, None), Task(1, 20, None), Task(0, 24, 25)]
    assert figures_of(waiting).longest_wait == pytest.approx(25 - 12 - QUERY)


def test_connections_that_are_held_have_shares_and_times_of_their_own() -> None:
    samples = [Sample(10 + tenth / 10, {0: 1 if tenth < 20 else 3, 1: 1}) for tenth in range(100)]
    figures = figures_of([], samples)
    assert figures.seconds_to_nearly_all_held == 2
    assert figures.least_share_held == pytest.approx(100 / 180)
    assert (figures.most_sessions, figures.most_sessions_of_one) == (4, 3)


def test_connections_of_a_pooler_are_nobodys_share() -> None:
    figures = figures_of([], [Sample(11, {None: 4})])
    assert figures.least_share_held is None
    assert figures.seconds_to_nearly_all_held == 1
    assert (figures.most_sessions, figures.most_sessions_of_one) == (4, 0)


@pytest.mark.parametrize(
    ("totals", "seconds"), [([4, 4, 4], 0.0), ([6, 5, 4], 2.0), ([4, 5, 4], 2.0), ([4, 4, 5], None)]
)
def test_the_role_is_within_its_limit_when_it_stays_there(totals: list[int], seconds: float | None) -> None:
    samples = [Sample(10.0 + number, {0: total}) for number, total in enumerate(totals)]
    assert figures_of([], samples).seconds_to_limit == seconds


def test_the_servers_counts_are_divided_by_workers_and_seconds() -> None:
    figures = measure(PHASE, SHAPE, QUERY, [], [], Counts(refused=5, connects=9, transactions=0) - Counts(1, 1, 0))
    assert (figures.refused, figures.connects) == (0.2, 0.4)


def test_a_schedule_joins_phases_without_a_gap() -> None:
    phases = SCENARIOS["phases"](SHAPE, 3)
    assert schedule(phases, 0) == [(0, 9)]
    assert schedule(phases, 1) == [(0, 3), (6, 9)]


def test_a_worker_that_is_killed_is_not_expected_to_work_afterwards() -> None:
    before, after = SCENARIOS["killed"](SHAPE, 3)
    assert (before.killed, after.killed) == (None, 0)
    assert before.busy - after.busy == {0}


@pytest.mark.parametrize("text", ["8x25", "0x5@5", "8x25@25x", "axb@c"])
def test_a_shape_is_written_in_one_way(text: str) -> None:
    assert str(Shape.parse("8x25@25")) == "8x25@25"
    with pytest.raises(ValueError, match="8x25@25"):
        Shape.parse(text)


SESSION, _, PGBOUNCER = CONTENDERS


def run_of(contender: Contender, *, share: float, most: int = 4, seconds: float | None = 0.5) -> Run:
    def phase_of(name: str) -> Figures:
        return Figures(
            phase=name,
            limit=4,
            throughput=0.9,
            least_share=share,
            seconds_to_nearly_all=seconds,
            least_share_held=None,
            seconds_to_nearly_all_held=seconds,
            seconds_to_half=seconds,
            seconds_to_limit=0.0,
            refused=0.1,
            connects=0.2,
            longest_wait=1.0,
            timeouts=0,
            other_errors=0,
            most_sessions=most,
            most_sessions_of_one=2,
        )

    return Run(contender, SHAPE, "phases", [phase_of(name) for name in "abc"], further_statements=1.0)


def summary_of(contender: Contender, *, share: float, seconds: float | None = 0.5) -> Summary:
    return summarize(run_of(contender, share=share, seconds=seconds))


def test_a_good_run_misses_no_goal() -> None:
    assert missed_goals(summary_of(SESSION, share=0.9), summary_of(PGBOUNCER, share=1.0)) == []
    assert find_faults([run_of(SESSION, share=0.9)]) == []


def test_what_misses_a_goal_says_so() -> None:
    missed = missed_goals(summary_of(SESSION, share=0.7, seconds=None), None)
    assert [goal.partition(" ")[0] for goal in missed] == ["least", "nine", "half"]
    assert "never" in missed[1]


def test_waits_and_questions_have_goals_too() -> None:
    summary = replace(summary_of(SESSION, share=0.9), longest_wait=4.5, further_statements=2.5)
    missed = missed_goals(summary, summary_of(PGBOUNCER, share=1.0))
    assert [goal.partition(" (")[0] for goal in missed] == [
        "a longest wait of 4.5 s",
        "2.3 further statements a worker and second",
    ]


def test_more_sessions_than_the_limit_are_a_fault_of_ours_alone() -> None:
    assert len(find_faults([run_of(SESSION, share=1, most=5)])) == 3
    assert find_faults([run_of(PGBOUNCER, share=1, most=5)]) == []


def test_tables_have_a_cell_for_each_column() -> None:
    runs = [run_of(SESSION, share=0.9, seconds=None), run_of(PGBOUNCER, share=1)]
    lines = as_markdown(runs, [summarize(run) for run in runs], "a machine").splitlines()
    tables = [
        list(group) for is_table, group in itertools.groupby(lines, lambda line: line.startswith("|")) if is_table
    ]
    assert [len(table) for table in tables] == [2 + 2, 2 + 2 * 3]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
    assert "never" in tables[0][2]


def test_what_a_change_should_have_led_to_is_named_with_its_phase() -> None:
    run = run_of(SESSION, share=0.9, seconds=None)
    assert [goal.partition(":")[0] for goal in missed_after_changes(run)] == ["b", "c"]
    assert missed_after_changes(run_of(SESSION, share=0.9)) == []
