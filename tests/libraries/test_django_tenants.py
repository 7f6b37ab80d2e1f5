"""django-tenants on the pool's engine: no task reads or writes another tenant's rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from servers.helper import ROOT
from servers.postgres_address import Postgres
from tests.support.programs import output_of
from tests.support.tasks import FRAMEWORK
from tests.support.tenants import NAMES, ROUNDS

from .conftest import MODES, MakeDatabase

pytest.importorskip("django_tenants")

TASKS = 60


@MODES
@pytest.mark.parametrize("limit_set_calls", [False, True])
@pytest.mark.parametrize("discard", ["dirty", False])
def test_each_task_sees_its_own_tenants_rows(
    make_database: MakeDatabase, postgres: Postgres, mode: str, limit_set_calls: bool, discard: bool | str
) -> None:
    database = make_database(MAX_CONNS=5, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60, ON_RELEASE_DISCARD_ALL=discard)
    name = f"{database.role}_tenants"
    postgres.query(f"CREATE DATABASE {name} OWNER {database.role}")
    try:
        program = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.tenants", FRAMEWORK),
                *(json.dumps({**database.settings, "NAME": name}), str(limit_set_calls), str(TASKS)),
            ],
            cwd=ROOT,
            env={**os.environ, "TEST_FRAMEWORK": FRAMEWORK},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = output_of(program)
        assert json.loads("{" + output.rpartition("{")[2]) == {"written": TASKS * 2 * ROUNDS, "wrong": 0}, output
        for schema in NAMES:
            rows = postgres.query(
                f"SELECT count(*), count(*) FILTER (WHERE name <> '{schema}') FROM {schema}.testapp_item", dbname=name
            )
            assert rows == [[str(TASKS * 2 * ROUNDS // len(NAMES)), "0"]]
    finally:
        postgres.query(f"DROP DATABASE {name} WITH (FORCE)")
