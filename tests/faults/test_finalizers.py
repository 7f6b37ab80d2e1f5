"""Garbage collections that run a finalizer with a query, at any line of the pool or the registry.

A collection may come at any allocation, and its finalizers run in the middle of what the greenlet or thread does.
"""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Hashable
from pathlib import Path

import pytest

import django_geventpool
from servers.postgres_address import Postgres
from tests.support.alarm import STUCK_AFTER, StuckError, never_stuck
from tests.support.campaign import Campaign, Outcome, run_catching
from tests.support.database import Database
from tests.support.lines import LineFault
from tests.support.observer import Observer
from tests.support.small_programs import PROGRAMS, Program
from tests.support.tasks import current_greenlet

from .conftest import MODES

#: With autocommit off, a query begins a transaction. One that comes right after the commit of a block keeps Django from
#: turning autocommit on again; so it is on Django's own engine too.
AFTER_COMMIT = re.compile(r"set_session cannot be used inside a transaction|can't change 'autocommit' now")
SAMPLE = int(os.environ.get("FAULT_SAMPLE", "15"))
PACKAGE = Path(django_geventpool.__file__).parent
FOLDERS = (PACKAGE / "pool", PACKAGE / "backends", PACKAGE / "registry.py")
NAMES = (
    "get", "create_in_atomic", "connecting", "reconnecting", "waiting_at_a_full_pool", "closing_the_pool",
    "connection_copy", "close_in_the_middle",
)  # fmt: skip


@MODES
@pytest.mark.parametrize(
    "program", [pytest.param(program, id=program.name) for program in PROGRAMS if program.name in NAMES]
)
def test_a_finalizer_that_queries_at_any_line_hinders_nobody(
    postgres: Postgres, observer: Observer, rows: None, program: Program, mode: str
) -> None:
    campaign = Campaign(f"finalizer-{program.name}-{mode}", program, postgres, observer, {"POOL_MODE": mode})
    _run(campaign, 0)
    outcome, places = _run(campaign, 0)
    campaign.judge("without a fault", outcome)
    for at in campaign.choose(places, SAMPLE):
        outcome, _ = _run(campaign, at)
        campaign.judge(f"line {at} of {len(places)}", outcome)
        if campaign.is_enough:
            break
    campaign.close()


class _Querying:
    """Makes a query when it is collected; only a garbage collection can do that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._itself = self

    def __del__(self) -> None:
        self._database.fetch("select 1")


def _run(campaign: Campaign, at: int) -> tuple[Outcome, list[Hashable]]:
    """Run the program here, with a collection at one of its lines; return the outcome and, for 0, the lines' places."""
    campaign.prepare()
    here = current_greenlet()
    garbage = [_Querying(campaign.scene.database)]

    def collect() -> None:
        garbage.clear()
        gc.collect()

    fault = LineFault(FOLDERS, at, "line", is_meant=lambda: current_greenlet() is here, act=collect)

    def run() -> None:
        try:
            with fault.armed():
                campaign.program.run(campaign.scene)
        finally:
            campaign.scene.give_back()

    start = time.monotonic()
    with never_stuck():
        error = run_catching(run)
    if error is not None and AFTER_COMMIT.search(str(error)):
        error = None
    if error is None and time.monotonic() - start >= STUCK_AFTER:
        error = StuckError("the finalizer waited for what it interrupted")  # The first one stayed in the finalizer.
    outcome = Outcome(None, error, fault.where)
    for leftover in garbage:
        leftover.__dict__.clear()
    return outcome, fault.places
