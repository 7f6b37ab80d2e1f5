"""What the benchmark of faults makes of what it has seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.contenders import LIMIT
from benchmarks.faults import findings
from benchmarks.faults.contenders import CONTENDERS, PATIENCE
from benchmarks.faults.findings import Finding, Result, Task
from benchmarks.faults.options import parse_options
from benchmarks.faults.recovery import find_recovery, seconds_until_back
from benchmarks.faults.report import as_json, as_markdown, merge, results_of
from benchmarks.faults.scenarios import SCENARIOS
from benchmarks.machine import Machine

MACHINE = Machine("2026-01-01", 2, "a CPU", 0.5, "Linux", {"Python": "3.11"})
DONE = Task(1, began=10, ended=11, error="", is_database_error=False, value=7)
FAILED = replace(DONE, error="OperationalError: the server closed the connection", is_database_error=True)
HANGING = replace(DONE, ended=None)


def results_with(*found: Finding, scenario: str = "burst", contender: str = "session") -> Result:
    return Result(scenario, contender, list(found))


def test_tasks_fail_by_an_error_or_without_an_end() -> None:
    assert findings.failed([DONE, DONE]) == Finding("0 of 2 failed")
    finding = findings.failed([DONE, FAILED, FAILED, HANGING], " afterwards")
    assert finding == Finding("3 of 4 failed afterwards (OperationalError, hangs)", False)


def test_the_limit_is_right_and_nothing_beyond_it() -> None:
    assert findings.most_connections(LIMIT).is_right
    assert not findings.most_connections(LIMIT + 1).is_right
    assert findings.lendable(LIMIT).is_right
    assert findings.lendable(LIMIT - 1) == Finding(f"{LIMIT - 1} of {LIMIT} can be lent", False)
    assert findings.going_on(0).is_right
    assert not findings.going_on(1).is_right


def test_an_answer_to_another_query_is_wrong_and_none_is_not() -> None:
    assert findings.wrong_answers([DONE, FAILED], [7, 8]) == []
    assert findings.wrong_answers([DONE, DONE], [7, 8]) == [Finding("1 had another query's answer", False)]


def test_what_never_happened_is_not_in_time() -> None:
    assert findings.within(1.04, 2, "back") == Finding("back after 1.0 s")
    assert not findings.within(2.1, 2, "back").is_right
    assert findings.within(None, 2, "back") == Finding("back: not in 2 s", False)
    assert findings.within(None, 2, "back", watched=6) == Finding("back: not in 6 s", False)
    assert findings.longest([DONE, replace(DONE, began=9)]) == 2
    assert findings.longest([DONE, HANGING]) is None


def test_errors_that_django_does_not_know_are_named() -> None:
    assert findings.database_errors([DONE, FAILED]) == []
    other = replace(FAILED, error="QueuePoolError: too late", is_database_error=False)
    assert findings.database_errors([FAILED, other]) == [Finding("no database error: QueuePoolError", False)]


def ends_of(rate: float, begin: float, end: float) -> list[float]:
    return [begin + number / rate for number in range(round((end - begin) * rate))]


def test_tasks_are_back_when_as_many_end_as_before() -> None:
    before = ends_of(100, 0, 2)
    assert seconds_until_back([*before, *ends_of(100, 3, 8)], down=2, up=3, over=8) == 0
    slowly = [*before, *ends_of(20, 3, 5), *ends_of(100, 5, 8)]
    assert seconds_until_back(slowly, down=2, up=3, over=8) == pytest.approx(2, abs=0.2)
    assert seconds_until_back([*before, *ends_of(20, 3, 8)], down=2, up=3, over=8) is None
    assert seconds_until_back(ends_of(100, 3, 8), down=2, up=3, over=8) is None


def test_failures_are_excused_for_a_while_only() -> None:
    tasks = [replace(DONE, ended=end) for end in (*ends_of(100, 0, 2), *ends_of(100, 3, 8))]
    during, late = replace(FAILED, began=2.5, ended=2.6), replace(FAILED, began=7, ended=7.1)
    excused = list(find_recovery([*tasks, during], down=2, up=3, over=8))
    assert excused == [Finding("1 failed meanwhile"), Finding("back after 0.0 s")]
    *_, last = find_recovery([*tasks, during, late], down=2, up=3, over=8)
    assert last == Finding("1 failed later (OperationalError)", False)


def test_a_result_is_right_if_all_of_it_is() -> None:
    assert results_with(Finding("well")).is_right
    assert not results_with(Finding("well"), Finding("ill", False)).is_right


def test_the_page_has_an_overview_and_a_table_for_each_scenario() -> None:
    results = [
        results_with(Finding("0 of 200 failed")),
        results_with(Finding("5 of 200 failed | broken", False), Finding("10"), contender="pgbouncer"),
        results_with(Finding("the child hangs", False), scenario="fork"),
    ]
    page = as_markdown(results, MACHINE, ["A note."])
    assert "| | ours, session | PgBouncer |" in page.replace("|  |", "| |")
    assert "| [200 tasks at once](#burst) | ✓ | ✗ |" in page
    assert "| [The process forks](#fork) | ✗ |  |" in page
    assert "| right, of 2 | 1 | 0 |" in page
    assert "| PgBouncer (transaction), Django | ✗ | **5 of 200 failed \\| broken**; 10 |" in page
    assert "python -m benchmarks faults --scenario fork" in page
    assert "A note." in page


def test_results_are_kept_beside_later_ones() -> None:
    before = [results_with(Finding("old")), results_with(Finding("kept"), scenario="fork")]
    text = as_json([*before, results_with(Finding("gone"), scenario="no such scenario")], MACHINE)
    read = results_of(json.loads(text))
    assert read == before
    now = results_with(Finding("new", False))
    assert merge(read, [now]) == [now, before[1]]


def test_every_contender_that_can_be_patient_is_as_patient_as_the_others() -> None:
    by_name = {contender.name: contender.database for contender in CONTENDERS}
    assert by_name["session"]["OPTIONS"]["CONN_WAIT_TIMEOUT"] == PATIENCE
    assert by_name["transaction"]["OPTIONS"]["POOL_MODE"] == "transaction"
    assert by_name["django-db-connection-pool"]["POOL_OPTIONS"]["TIMEOUT"] == PATIENCE
    for name in ("django-pool", "django-pg-real-pool"):
        assert by_name[name]["OPTIONS"]["pool"]["timeout"] == PATIENCE
    assert all("connect_timeout" in database["OPTIONS"] for database in by_name.values())


def test_scenarios_and_contenders_are_chosen_by_name() -> None:
    options = parse_options(["--scenario", "fork", "burst", "--contenders", "django"])
    assert [scenario.name for scenario in options.scenarios] == ["burst", "fork"]
    assert [contender.name for contender in options.contenders] == ["django"]
    assert len(parse_options([]).scenarios) == len(SCENARIOS)
    with pytest.raises(SystemExit):
        parse_options(["--scenario", "no-such-scenario"])
