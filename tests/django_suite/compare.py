"""What the outcomes of a run say, beside those on Django's own engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
NOT_RUN = "not run"


@dataclass
class Verdict:
    """The tests of a run, by what is to be said of them."""

    run: int = 0
    passed: int = 0
    skipped: int = 0
    #: Failed, as they may: with the reason.
    excused: dict[str, str] = field(default_factory=dict)
    #: What they did instead of passing.
    failed: dict[str, str] = field(default_factory=dict)
    #: Excused, but passed.
    needlessly_excused: list[str] = field(default_factory=list)
    #: Failed, as on Django's own engine.
    failed_in_stock: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether tests have run, and nothing has to be mended, in the engine or in the list of excuses."""
        return self.run > 0 and not self.failed and not self.needlessly_excused


def judge(outcomes: Mapping[str, str], stock: Mapping[str, str] | None, excuses: Mapping[str, str]) -> Verdict:
    """Compare a run with that of the same tests on Django's own engine; with None, a test just must not fail."""
    ends = [*outcomes.values()]
    verdict = Verdict(run=len(ends), passed=ends.count(PASSED), skipped=ends.count(SKIPPED))
    if not outcomes:
        return verdict  # That is all there is to say.
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
