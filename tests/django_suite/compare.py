"""Compares the outcomes of a run with those on Django's own engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
NOT_RUN = "not run"


@dataclass
class Verdict:
    """The tests of a run, sorted by verdict."""

    run: int = 0
    passed: int = 0
    skipped: int = 0
    #: Tests that failed and are excused, with the reason.
    excused: dict[str, str] = field(default_factory=dict)
    #: Tests that failed, with what they did instead of passing.
    failed: dict[str, str] = field(default_factory=dict)
    #: Tests that are excused, but passed.
    needlessly_excused: list[str] = field(default_factory=list)
    #: Tests that failed on Django's own engine too.
    failed_in_stock: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether tests have run, and neither the engine nor the list of excuses needs a change."""
        return self.run > 0 and not self.failed and not self.needlessly_excused


def judge(outcomes: Mapping[str, str], stock: Mapping[str, str] | None, excuses: Mapping[str, str]) -> Verdict:
    """Compare a run with the same tests on Django's own engine; without these (None), each test must not fail."""
    ends = [*outcomes.values()]
    verdict = Verdict(run=len(ends), passed=ends.count(PASSED), skipped=ends.count(SKIPPED))
    if not outcomes:
        return verdict  # There is nothing to compare with.
    for test in sorted({*outcomes, *(stock or {})}):
        outcome = outcomes.get(test, NOT_RUN)
        outcome_in_stock = None if stock is None else stock.get(test, NOT_RUN)
        if outcome == PASSED:
            if test in excuses:
                verdict.needlessly_excused.append(test)
        elif outcome == FAILED and outcome_in_stock == FAILED:
            verdict.failed_in_stock.append(test)
        elif outcome == FAILED or outcome_in_stock == PASSED:
            if test in excuses:
                verdict.excused[test] = excuses[test]
            else:
                verdict.failed[test] = outcome
    return verdict
