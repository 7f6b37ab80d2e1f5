"""Small programs, each killed at each of its switches in turn."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator

import greenlet
import pytest

from django_geventpool import green
from servers.postgres_address import Postgres
from tests.support.campaign import EVERY_STEP, Campaign, Outcome
from tests.support.errors_thrown import kinds_of_errors
from tests.support.observer import Observer
from tests.support.small_programs import PROGRAMS, Program
from tests.support.switches import MOMENTS, Moment, SwitchFault
from tests.support.tasks import Task
from tests.support.wholeness import SETTLED_WITHIN, NotWholeError, await_quiet

from .conftest import MODES

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

#: More switches than a run can have: it would be waiting in a loop.
MOST = 400
KINDS = kinds_of_errors()
ONLY_ERROR = os.environ.get("FAULT_ERROR")

programs = pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS])


@MODES
@programs
def test_a_program_that_is_interrupted_at_any_switch_leaves_a_whole_pool(
    postgres: Postgres, observer: Observer, rows: None, program: Program, mode: str
) -> None:
    campaign = Campaign(f"{program.name}-{mode}", program, postgres, observer, {"POOL_MODE": mode})
    for moment, error in _faults(campaign):
        for at in campaign.switches():
            make = KINDS[error or campaign.random.choice(list(KINDS))]
            outcome = _run_victim(campaign, at, moment, make())
            campaign.judge(f"switch {at} ({moment})", outcome)
            if outcome.thrown is None or campaign.is_enough or at >= MOST:
                break
    campaign.close()


@MODES
@programs
def test_the_pools_own_greenlets_can_be_killed_at_any_switch(
    postgres: Postgres,
    observer: Observer,
    rows: None,
    program: Program,
    mode: str,
    own_greenlets: Callable[[greenlet.greenlet], bool],
) -> None:
    campaign = Campaign(f"{program.name}-{mode} own", program, postgres, observer, {"POOL_MODE": mode})
    for moment, error in _faults(campaign):
        for at in campaign.switches():
            make = KINDS[error or campaign.random.choice(list(KINDS))]
            outcome = _run_beside(campaign, own_greenlets, at, moment, make())
            campaign.judge(f"switch {at} ({moment})", outcome)
            if outcome.thrown is None or campaign.is_enough or at >= MOST:
                break
    campaign.close()


def _faults(campaign: Campaign) -> Iterator[tuple[Moment, str | None]]:
    """Yield when to throw what: each kind or, for None, a random one at each switch."""
    kinds: list[str | None] = [*KINDS] if EVERY_STEP else [None]
    for moment, error in itertools.product(MOMENTS, [ONLY_ERROR] if ONLY_ERROR else kinds):
        if not campaign.is_enough:
            yield moment, error


def _run_victim(campaign: Campaign, at: int, moment: Moment, error: BaseException) -> Outcome:
    """Run the program in a greenlet of its own, and throw an exception into it."""
    campaign.prepare()
    victims: list[greenlet.greenlet] = []
    fault = SwitchFault(lambda other: other in victims, at, moment, error)

    def run() -> None:
        victims.append(greenlet.getcurrent())
        campaign.expect_gone(victims[0])
        try:
            campaign.program.run(campaign.scene)
        finally:
            if campaign.program.gives_back:
                campaign.scene.give_back()

    with fault.armed():
        task = Task(run)
        task.wait()
        victims.clear()
    return Outcome(error if fault.has_fired else None, task.error, fault.where)


def _run_beside(
    campaign: Campaign,
    own_greenlets: Callable[[greenlet.greenlet], bool],
    at: int,
    moment: Moment,
    error: BaseException,
) -> Outcome:
    """Run the program, and throw an exception into one of the pool's own greenlets."""
    campaign.prepare()
    fault = SwitchFault(own_greenlets, at, moment, error)

    def run() -> None:
        try:
            campaign.program.run(campaign.scene)
        finally:
            if campaign.program.gives_back:
                campaign.scene.give_back()

    with fault.armed():
        task = Task(run)
        task.wait()
        with contextlib.suppress(NotWholeError):  # It is checked again, and reported, a moment later.
            await_quiet(campaign.scene.pool, SETTLED_WITHIN)
    thrown = error if fault.has_fired else None
    # Users of the pool must notice nothing.
    return Outcome(thrown, thrown if task.error is None else task.error, fault.where)


@pytest.fixture
def own_greenlets(monkeypatch: pytest.MonkeyPatch) -> Callable[[greenlet.greenlet], bool]:
    """Return a function that returns whether a greenlet is one of the pool's own."""
    own: set[greenlet.greenlet] = set()
    start = green.start_thread

    def start_noting(function: Callable[..., object], *args: object) -> None:
        def run() -> None:
            own.add(greenlet.getcurrent())
            try:
                function(*args)
            finally:
                own.discard(greenlet.getcurrent())

        start(run)

    monkeypatch.setattr(green, "start_thread", start_noting)
    return own.__contains__
