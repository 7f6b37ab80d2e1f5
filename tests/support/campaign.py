"""Runs a small program again and again, with one fault in each run, and records pools that aren't whole afterwards.

Environment: EVERY_STEP=1 tries every step of every program, where else all programs together try every line, and under
eventlet every second switch; FAULT_SAMPLE says how many further steps of each program; FAULT_SEED repeats a choice;
FAULT_AT=17 tries that point alone; FAULTS_MAX ends a campaign after so many failures (5); FAULTS_LOG names a file that
gets a line for each campaign and each failure.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import random
import sys
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.postgres_address import Postgres

from .errors_thrown import is_replaced
from .observer import Observer
from .scene import Scene
from .small_programs import Program
from .tasks import FRAMEWORK
from .wholeness import NotWholeError, check_whole

EVERY_STEP = bool(os.environ.get("EVERY_STEP"))
SEED = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
ONLY_AT = int(os.environ.get("FAULT_AT") or 0)
MAX_FAILURES = int(os.environ.get("FAULTS_MAX", "5"))
LOG = os.environ.get("FAULTS_LOG")


@dataclass
class Outcome:
    """The outcome of one run with a fault."""

    #: What was thrown; None if the run was over before.
    thrown: BaseException | None
    #: What came out of the program.
    error: BaseException | None
    #: Where it was thrown, as file:line function, innermost last.
    where: list[str]


class Campaign:
    """The runs of one program in one mode; ``failures`` says what went wrong."""

    def __init__(
        self, title: str, program: Program, server: Postgres, observer: Observer, options: dict[str, Any]
    ) -> None:
        self.title = title
        self.program = program
        self.failures: list[str] = []
        self.fired = 0
        self._make_scene = lambda: Scene(server, observer, {**options, **program.options})
        self.scene = self._make_scene()
        self._observer = observer
        self._refusals = _Refusals()
        self._victims: list[weakref.ref[Any]] = []
        self._unraisable: list[BaseException | None] = []
        self._unraisablehook = sys.unraisablehook
        sys.unraisablehook = self._note_unraisable
        self._start = time.monotonic()
        self.random = random.Random(f"{SEED} {title}")

    def choose(self, places: Sequence[Hashable], size: int, tried: set[Hashable] | None = None) -> list[int]:
        """Choose among the steps of a program, counted from 1: `size` at random, and one at each place not tried yet.

        With EVERY_STEP, these are all. There are none if the program fails without a fault.

        :param places: where each of its steps is.
        :param tried: the places that were tried in other programs, to which those of this one are added; without it,
            places don't matter.
        """
        if self.failures:
            return []
        if ONLY_AT:
            return [ONLY_AT]
        if EVERY_STEP:
            return list(range(1, len(places) + 1))
        chosen = set(self.random.sample(range(1, len(places) + 1), min(size, len(places))))
        if tried is not None:
            steps = list(enumerate(places, 1))
            self.random.shuffle(steps)
            # Of the steps at one place, the last one stays.
            new = {place: at for at, place in steps if place not in tried}
            chosen.update(new.values())
            tried.update(new)
        return sorted(chosen)

    def switches(self) -> Iterable[int]:
        """Return the switches of a program to try: all, or every second one, as their number isn't known in advance."""
        if ONLY_AT:
            return [ONLY_AT]
        if EVERY_STEP or FRAMEWORK == "gevent":
            return itertools.count(1)
        return itertools.count(self.random.choice((1, 2)), 2)

    @property
    def is_enough(self) -> bool:
        """Whether there are so many failures that more would say nothing new."""
        return len(self.failures) >= MAX_FAILURES

    def prepare(self) -> None:
        """Get ready for a run."""
        self.program.prepare(self.scene)
        self.scene.give_back()

    def expect_gone(self, victim: object) -> None:
        """Check at the end that no reference keeps a greenlet."""
        self._victims.append(weakref.ref(victim))

    def judge(self, point: str, outcome: Outcome) -> None:
        """Record failures of a run: a wrong outcome, or pools that aren't whole."""
        problem = self._judge_ending(outcome)
        self._unraisable.clear()
        _forget_frames(outcome.thrown, outcome.error)
        try:
            self.scene.end_helpers()
            for database in self.scene.databases:
                check_whole(database, self._observer)
            self._refusals.check()
        except AssertionError as error:
            problem = f"{error}{f' ({problem})' if problem else ''}"
            self.scene.abandon()
            self.scene = self._make_scene()
            self._refusals.clear()
        if outcome.thrown is not None:
            self.fired += 1
        if problem is not None:
            ours = [line for line in outcome.where if "django_geventpool/" in line]
            innermost = f"{ours[-1] if ours else 'outside of the pool'}, in {(outcome.where or ['?'])[-1]}"
            failure = f"{self.title} {point}, {outcome.thrown!r} at {innermost}: {problem}"
            self.failures.append(failure)
            _log(f"  FAIL {failure}")

    def _note_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        self._unraisable.append(unraisable.exc_value)

    def _judge_ending(self, outcome: Outcome) -> str | None:
        thrown, error = outcome.thrown, outcome.error
        if error is thrown or (thrown is not None and self.program.is_swallowed):
            return None
        if thrown is None:
            return f"failed without being interrupted: {error!r}"
        if error is None:
            # No exception comes out of a finalizer.
            return None if thrown in self._unraisable else "swallowed: it went on as if nothing was"
        return f"{'replaced by' if is_replaced(thrown, error) else 'lost, and then failed:'} {error!r}"

    def close(self) -> None:
        """End the scene, and raise an AssertionError if anything failed."""
        self._see_victims_gone()
        try:
            self.scene.close()
        finally:
            self._refusals.remove()
            sys.unraisablehook = self._unraisablehook
        tried = f"{self.title}: {len(self.failures)} of {self.fired} failed"
        summary = f"{tried} in {time.monotonic() - self._start:.1f} s (FAULT_SEED={SEED})"
        print(summary)
        _log(summary)
        assert not self.failures, "\n".join([summary, *self.failures])

    def _see_victims_gone(self) -> None:
        """Record a failure if references keep victims of good runs; after a failed run, others may be left."""
        if self.failures or not self._victims:
            return
        assert self.scene.database.connection  # eventlet's locals keep the objects of the greenlet that last used them.
        gc.collect()
        kept = sum(victim() is not None for victim in self._victims)
        if kept:
            self.failures.append(f"{self.title}: {kept} of {len(self._victims)} greenlets are kept after their ends")


def _forget_frames(*errors: BaseException | None) -> None:
    """Clear the frames of errors, whose locals would otherwise be kept."""
    for error in errors:
        if error is not None and error.__traceback__ is not None:
            error.__traceback__ = None
            _forget_frames(error.__cause__, error.__context__)


class _Refusals(logging.Handler):
    """Records when the server tells a pool that it has more connections than it may have.

    It has no lock, and is the only handler: an exception out of a signal handler in the middle of logging would leave
    logging's own locks taken for ever.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._messages: list[str] = []
        self._logger = logging.getLogger("geventpool.pool")
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        self._logger.propagate = False

    def createLock(self) -> None:  # noqa: N802  logging's own name
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)  # Since Python 3.13, logging's own can't do without a lock.
        return True

    def emit(self, record: logging.LogRecord) -> None:
        if "the server has no connection left" in record.getMessage():
            self._messages.append(record.getMessage())

    def check(self) -> None:
        if self._messages:
            raise NotWholeError("the pool opened more than MAX_CONNS connections, and was refused")

    def clear(self) -> None:
        self._messages.clear()

    def remove(self) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
        self._logger.propagate = True


def _log(line: str) -> None:
    if LOG:
        with Path(LOG).open("a") as file:
            file.write(f"{os.environ.get('TEST_FRAMEWORK')} {os.environ.get('TEST_DRIVER')} {line}\n")


def run_catching(function: Callable[[], object]) -> BaseException | None:
    """Call a function and return the exception that came out of it; None for none."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001  returned to the caller
        return error
    return None
