"""A process that is not monkey-patched."""

from __future__ import annotations

import pytest
from psycopg2 import extensions

from django_geventpool import patch_psycopg
from tests.support.programs import output_of, start_program

from .conftest import MakeDatabase

pytestmark = [pytest.mark.frameworks("threads"), pytest.mark.driver("psycopg2")]


def test_psycopg2_stays_as_it_is(make_database: MakeDatabase) -> None:
    process = start_program("ask_with_log", make_database(MAX_CONNS=5, role_limit=5).settings, "gevent", "eventlet")
    output = output_of(process)
    assert process.returncode == 0, output
    assert "green: False" in output
    assert "psycopg2 is green" not in output


def test_patch_psycopg_does_nothing() -> None:
    assert not patch_psycopg()
    assert extensions.get_wait_callback() is None
