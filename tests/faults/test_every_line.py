"""Small programs in the main thread, or the main greenlet, with an exception out of a signal handler at each line.

A soft time limit does so to a task in a prefork child. The task ends with ``connection.close()``, after which
everything must be whole. In each mode, the programs together are hit at every line that any of them comes to, and each
program at some other lines, chosen at random; EVERY_STEP=1 hits each program at all of its steps.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path

import pytest

import django_geventpool
from servers.postgres_address import Postgres
from tests.support.alarm import never_stuck
from tests.support.campaign import Campaign, Outcome, run_catching
from tests.support.lines import DELIVERIES, Delivery, LineFault
from tests.support.observer import Observer
from tests.support.small_programs import PROGRAMS, Program
from tests.support.tasks import current_greenlet

from .conftest import MODES

#: How many steps of a program to try besides: what a line does depends on the program that comes to it.
SAMPLE = int(os.environ.get("FAULT_SAMPLE", "6"))
PACKAGE = Path(django_geventpool.__file__).parent
#: The code that is interrupted.
FOLDERS = tuple(PACKAGE / name for name in os.environ.get("FAULT_FOLDERS", "pool drivers backends").split())

#: The places where a program was hit already, by mode and delivery.
tried: defaultdict[tuple[str, Delivery], set[Hashable]] = defaultdict(set)

programs = pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in PROGRAMS])


@MODES
@pytest.mark.parametrize("delivery", DELIVERIES)
@programs
def test_an_exception_out_of_a_signal_handler_at_any_line_leaves_a_whole_pool(
    postgres: Postgres, observer: Observer, rows: None, program: Program, delivery: Delivery, mode: str
) -> None:
    campaign = Campaign(f"{program.name}-{delivery}-{mode}", program, postgres, observer, {"POOL_MODE": mode})
    _run(campaign, 0, delivery)  # Imports and caches are filled from now on.
    outcome, places = _run(campaign, 0, delivery)
    campaign.judge("without a fault", outcome)
    for at in campaign.choose(places, SAMPLE, tried[mode, delivery]):
        outcome, _ = _run(campaign, at, delivery)
        campaign.judge(f"step {at} of {len(places)}", outcome)
        with never_stuck():
            _use(campaign)
        if campaign.is_enough:
            break
    campaign.close()


def _run(campaign: Campaign, at: int, delivery: Delivery) -> tuple[Outcome, list[Hashable]]:
    """Run the program here, with an exception at one of its steps; return the outcome and, for 0, the steps' places."""
    campaign.prepare()
    here = current_greenlet()
    fault = LineFault(FOLDERS, at, delivery, is_meant=lambda: current_greenlet() is here)

    def run() -> None:
        try:
            with fault.armed():
                try:
                    campaign.program.run(campaign.scene)
                finally:
                    campaign.scene.give_back()
        finally:
            # The end of the task, however far it came.
            campaign.scene.give_back()

    with never_stuck():
        error = run_catching(run)
    # If another greenlet, or a callback of the hub, was hit, the exception comes out there.
    is_of_another = fault.hit_another and error is None
    return Outcome(fault.error if fault.has_fired and not is_of_another else None, error, fault.where), fault.places


def _use(campaign: Campaign) -> None:
    """Make a query as the next task does, by the same wrapper."""
    database = campaign.scene.database
    assert database.answer("select 7") == [(7,)]
    assert not database.connection.in_atomic_block
    assert database.connection.get_autocommit()
    database.give_back()
