"""The nemesis of a fleet: its faults follow from a seed, and it sees when a law is broken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.fleet.statistics import Figures, Sample, Task
from tests.nemesis.faults import Fault, plan_faults
from tests.nemesis.laws import GRACE, PATIENCE, Evidence, Law, judge

SECONDS = 60.0
FIGURES = Figures(
    phase="quiet",
    limit=4,
    throughput=0.9,
    least_share=0.9,
    seconds_to_nearly_all=0.0,
    least_share_held=0.9,
    seconds_to_nearly_all_held=0.0,
    seconds_to_half=0.0,
    seconds_to_limit=0.0,
    refused=0.0,
    connects=0.0,
    longest_wait=0.1,
    timeouts=0,
    other_errors=0,
    most_sessions=4,
    most_sessions_of_one=2,
)


def sessions(*counts: tuple[float, int]) -> list[Sample]:
    """Return ten samples a second of a worker's sessions; ``counts`` says from when there are how many."""
    times = (tenth / 10 for tenth in range(round(SECONDS * 10)))
    return [Sample(at, {0: next(count for begin, count in reversed(counts) if begin <= at)}) for at in times]


#: A task of each worker every second.
TASKS = [Task(worker, second + 0.1, second + 0.2) for worker in (0, 1) for second in range(round(SECONDS))]
GOOD = Evidence(
    seconds=SECONDS,
    workers=2,
    max_conns=6,
    faults=[Fault("reset", 20, 20), Fault("kill", 30, 31)],
    limits=[(-math.inf, 4), (10, 2), (20, 4)],
    samples=sessions((0, 4), (12, 2), (21, 4)),
    tasks=TASKS,
    figures=FIGURES,
    statuses={0: 0, 1: 0},
)


def broken(evidence: Evidence) -> list[Law]:
    return [law for law, _ in judge(evidence)]


def test_a_good_run_breaks_no_law() -> None:
    assert judge(GOOD) == []


@pytest.mark.parametrize(
    ("counts", "problems"),
    [
        ([(0, 4), (5, 5), (6, 4), (12, 2)], 1),  # More than the limit, for a moment.
        ([(0, 4), (10.2, 5), (12, 2)], 1),  # More, just when the limit was lowered.
        ([(0, 3), (10.2, 4), (12, 2)], 0),  # One that was let in just before.
        ([(0, 4), (11, 3), (15, 4), (16, 2)], 1),  # On the way to the lower limit, one came.
    ],
)
def test_sessions_that_come_beyond_the_limit_break_the_bound(counts: list[tuple[float, int]], problems: int) -> None:
    assert broken(replace(GOOD, samples=sessions(*counts))) == [Law.BOUND] * problems


def test_a_lowered_limit_has_to_hold_after_a_while() -> None:
    limits: Sequence[tuple[float, int]] = [(-math.inf, 4), (10, 2)]
    for end, problems in ((10 + GRACE - 1, 0), (10 + GRACE + 2, 1)):
        evidence = replace(GOOD, limits=limits, samples=sessions((0, 4), (end, 2)))
        assert broken(evidence) == [Law.BOUND] * problems


def test_a_worker_has_no_more_than_max_conns_for_long() -> None:
    evidence = replace(GOOD, max_conns=3, samples=sessions((0, 3), (10, 2), (21, 3)))
    assert broken(evidence) == []
    assert broken(replace(evidence, max_conns=2)) == [Law.BOUND]


def test_a_worker_that_does_nothing_for_long_breaks_a_law_whenever_it_is() -> None:
    for begin, end in ((0.0, PATIENCE + 2), (30.0, 32 + PATIENCE), (SECONDS - PATIENCE - 2, SECONDS)):
        tasks = [task for task in TASKS if task.worker == 0 or not begin <= task.began < end]
        assert broken(replace(GOOD, tasks=tasks)) == [Law.PROGRESS]
    failing = [replace(task, error="PoolTimeout") if task.worker else task for task in TASKS]
    assert set(broken(replace(GOOD, tasks=failing))) == {Law.PROGRESS, Law.ERRORS}


@pytest.mark.parametrize(
    ("ended", "error", "problems"),
    [
        (20.1, "OperationalError", 0),  # The reset.
        (21 + GRACE, "OperationalError", 1),
        (20.1, "PoolTimeout", 1),
        (20.1, "TypeError", 1),
    ],
)
def test_errors_need_a_fault_that_explains_them(ended: float, error: str, problems: int) -> None:
    evidence = replace(GOOD, tasks=[*TASKS, Task(0, ended - 0.1, ended, error)])
    assert broken(evidence) == [Law.ERRORS] * problems


def test_the_end_shows_whether_the_fleet_recovered_and_workers_ended() -> None:
    slow = replace(FIGURES, throughput=0.1, least_share=0.0)
    evidence = replace(GOOD, figures=slow, statuses={0: None, 1: 1})
    assert broken(evidence) == [Law.RECOVERY, Law.RECOVERY, Law.END, Law.END]


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_gives_the_same_faults_again_none_at_the_same_time_as_its_like(seed: int) -> None:
    faults = plan_faults(seed, 100, workers=6, with_standby=True)
    assert faults == plan_faults(seed, 100, workers=6, with_standby=True)
    assert faults != plan_faults(seed + 1, 100, workers=6, with_standby=True)
    assert all(0 < fault.begin <= fault.end <= 100 for fault in faults)
    assert [fault.kind for fault in faults].count("promote") == 1
    for fault in faults:
        overlapping = [
            other
            for other in faults
            if other.kind == fault.kind and other.begin < fault.end and other.end > fault.begin
        ]
        assert len(overlapping) <= 1


def test_without_a_standby_none_is_promoted() -> None:
    assert all(fault.kind != "promote" for fault in plan_faults(1, 300, workers=6, with_standby=False))
