"""Worlds in which everything goes wrong keep the pool's laws: a million steps, by seeds.

A failing seed is in the test's name, and in its message, with the command that repeats it.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys

import pytest

from tests.launcher import ROOT

from .run import simulate

#: With the steps of their ends, they take a million steps.
FIXED = range(1, 33)
_TODAY = datetime.datetime.now(datetime.timezone.utc).toordinal()
#: How many seeds are others each day; SIMULATION_SEED names the first of them.
DRAWN = 4
FIRST_DRAWN = int(os.environ.get("SIMULATION_SEED") or 1000 * _TODAY)
STEPS = 25_000


@pytest.mark.parametrize("seed", [*FIXED, *range(FIRST_DRAWN, FIRST_DRAWN + DRAWN)])
def test_all_laws_hold_after_each_step(seed: int) -> None:
    outcome = simulate(seed, STEPS)
    assert outcome.steps >= STEPS
    assert outcome.served
    print(outcome)


def test_a_seed_repeats_a_run() -> None:
    assert simulate(5, 2000) == simulate(5, 2000)
    assert simulate(5, 2000).digest != simulate(6, 2000).digest


def test_a_seed_repeats_a_run_in_another_process() -> None:
    """Neither the addresses of objects nor the hashes of strings, which differ there, have a say."""
    assert len({run_apart(hash_seed) for hash_seed in ("1", "2")}) == 1


def run_apart(hash_seed: str) -> str:
    """Return what a run in a process of its own prints, but for the time that it takes."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "7", "--steps", "3000"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process.stdout.rpartition(",")[0]
