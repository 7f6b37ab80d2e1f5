"""Processes that end while connections are held: they end without warnings."""

from __future__ import annotations

import pytest

from tests.support.programs import output_of, start_program

from .conftest import MODES, MakeDatabase


@MODES
@pytest.mark.parametrize("how", ["main", "threads", "cycle", "module"])
def test_the_end_of_the_interpreter_is_silent(make_database: MakeDatabase, how: str, mode: str) -> None:
    database = make_database(MAX_CONNS=5, POOL_MODE=mode)
    process = start_program("hold_at_exit", database.settings, how, PYTHONDEVMODE="1")
    assert output_of(process, 20).splitlines() == ["held"]
    assert process.returncode == 0
