"""Django's own test runner creates, clones and drops test databases."""

from __future__ import annotations

import re

import pytest

from tests.support.database import Database
from tests.support.programs import output_of, start_program
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """A role that may create databases."""
    database = make_database(MAX_CONNS=2, role_limit=20)
    database.server.query(f"ALTER ROLE {database.role} CREATEDB")
    database.settings["TEST"] = {"NAME": f"test_of_{database.role}"}
    return database


def run_tests(database: Database, *arguments: str) -> str:
    process = start_program("run_tests", database.settings, "--pattern=django_tests.py", "-v2", *arguments)
    output = output_of(process)
    assert process.returncode == 0, output
    return output


def databases(database: Database) -> list[str]:
    rows = database.server.query(f"SELECT datname FROM pg_database WHERE datname LIKE 'test_of_{database.role}%'")
    return sorted(row[0] for row in rows)


def assert_all_ran(output: str) -> None:
    assert re.search(r"^Ran 9 tests", output, re.MULTILINE), output
    assert re.search(r"^OK$", output, re.MULTILINE), output


def test_tests_run_on_a_test_database_that_is_dropped_at_the_end(database: Database) -> None:
    output = run_tests(database)
    assert_all_ran(output)
    assert databases(database) == []
    eventually(lambda: database.count() == 0, "no session left")


def test_a_kept_test_database_is_used_again(database: Database) -> None:
    name = f"test_of_{database.role}"
    try:
        run_tests(database, "--keepdb")
        assert databases(database) == [name]
        assert_all_ran(run_tests(database, "--keepdb"))
        # Without --keepdb, the database is dropped first, then created.
        assert_all_ran(run_tests(database, "--noinput"))
        assert databases(database) == []
    finally:
        database.server.query(f"DROP DATABASE IF EXISTS {name}")


def test_test_databases_are_cloned_and_dropped(database: Database) -> None:
    process = start_program("clone_test_database", database.settings)
    output = output_of(process)
    assert process.returncode == 0, output
    name = f"test_of_{database.role}"
    assert f"databases {[name, f'{name}_1', f'{name}_2']}" in output
    assert databases(database) == []
    eventually(lambda: database.count() == 0, "no session left")


#: Settings of another alias with which Django gives it the same test database.
SHARED = {
    "mirror": {"TEST": {"MIRROR": "default"}},
    "same name": {},
    "mirror with another address": {"TEST": {"MIRROR": "default"}, "HOST": "localhost"},
}


@MODES
@pytest.mark.parametrize("shared", SHARED)
def test_a_test_database_of_two_aliases_is_dropped_at_the_end(database: Database, shared: str, mode: str) -> None:
    if "HOST" in SHARED[shared] and database.server.host != "127.0.0.1":
        pytest.skip("the server has one address only")
    default = {**database.settings, "OPTIONS": {"MAX_CONNS": 2, "MIN_CONNS": 2, "POOL_MODE": mode}}
    process = start_program(
        "run_tests", default, "--pattern=django_mirror_tests.py", aliases={"replica": {**default, **SHARED[shared]}}
    )
    output = output_of(process)
    assert process.returncode == 0, output
    assert re.search(r"^Ran 3 tests", output, re.MULTILINE), output
    assert databases(database) == []
    eventually(lambda: database.count() == 0, "no session left")


# Under gevent and eventlet, the multiprocessing pool of Django's runner hangs, with any engine.
@pytest.mark.frameworks("threads")
def test_parallel_tests_run_on_clones(database: Database) -> None:
    output = run_tests(database, "--parallel=2")
    assert_all_ran(output)
    assert output.count("Cloning test database") == 2
    assert databases(database) == []
    eventually(lambda: database.count() == 0, "no session left")
