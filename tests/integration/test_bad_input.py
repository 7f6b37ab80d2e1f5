"""Wrong settings are reported at the start, and errors of the server when connecting."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import ConnectionHandler
from django.test import override_settings

from django_geventpool import pools
from django_geventpool.checks import check_databases
from django_geventpool.errors import PoolTimeout
from servers.postgres import PostgresServer
from tests.support.drivers import ENGINE
from tests.support.programs import output_of, start_program
from tests.support.waiting import eventually

from .conftest import MakeDatabase

BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"MAX_CONN": 5}, "did you mean MAX_CONNS?"),
    ({"WHATEVER": 5}, "Unknown pool option WHATEVER"),
    ({"MAX_CONNS": "five"}, "MAX_CONNS must be a whole number"),
    ({"MAX_CONNS": 2.5}, "MAX_CONNS must be a whole number"),
    ({"MAX_CONNS": True}, "MAX_CONNS must be a whole number"),
    ({"MAX_CONNS": 0}, "MAX_CONNS must be a whole number of at least 1"),
    ({"MAX_CONNS": -1}, "MAX_CONNS must be a whole number of at least 1"),
    ({"MIN_CONNS": -1}, "MIN_CONNS must be a whole number of at least 0"),
    ({"MIN_CONNS": 5, "MAX_CONNS": 4}, "MIN_CONNS (5) must not be above MAX_CONNS (4)"),
    ({"CONN_WAIT_TIMEOUT": -1}, "CONN_WAIT_TIMEOUT must be a number of seconds"),
    ({"CONN_WAIT_TIMEOUT": float("nan")}, "CONN_WAIT_TIMEOUT must be a number of seconds"),
    ({"CONN_IDLE_TIMEOUT": "60 s"}, "CONN_IDLE_TIMEOUT must be a number of seconds"),
    ({"CONN_MAX_LIFETIME": 0}, "CONN_MAX_LIFETIME must be a number of seconds above 0"),
    ({"LEAK_WARNING_AFTER": 0}, "LEAK_WARNING_AFTER must be a number of seconds above 0"),
    ({"ON_RELEASE_DISCARD_ALL": "yes"}, 'ON_RELEASE_DISCARD_ALL must be "dirty", True or False'),
    ({"POOL_MODE": "statement"}, 'POOL_MODE must be "session" or "transaction"'),
    ({"REUSE_CONNS": 1, "MIN_CONNS": 2}, "REUSE_CONNS (1) must not be below MIN_CONNS (2)"),
    ({"pool": True}, 'remove "pool"'),
    ({"pool": {"min_size": 2}}, 'remove "pool", and set MAX_CONNS and the like instead: "MIN_CONNS" for min_size.'),
    ({"MAX_CONNS": 10**400}, "MAX_CONNS must be at most 262143"),
    ({"CONN_WAIT_TIMEOUT": 10**400}, "CONN_WAIT_TIMEOUT must be a number of seconds"),
    ({"POOL_SIZE": 5}, "did you mean MAX_CONNS?"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=lambda value: str(value) * isinstance(value, dict))
def test_bad_options_are_refused_before_the_first_connect(options: dict[str, Any], message: str) -> None:
    handler = ConnectionHandler({"default": {"ENGINE": ENGINE, "NAME": "any", "HOST": "127.0.0.1", "OPTIONS": options}})
    wrapper = handler["default"]  # As importing a model does.
    assert wrapper.ops.max_name_length() == 63
    nobodys = type(wrapper)(wrapper.settings_dict, alias=NO_DB_ALIAS)  # Django creates test databases with it.
    for use in (wrapper.cursor, wrapper.ensure_connection, nobodys.cursor, lambda: wrapper.pool_options):
        with pytest.raises(ImproperlyConfigured) as caught:
            use()
        assert message in str(caught.value)
    assert "default" not in pools
    with pytest.raises(ImproperlyConfigured, match=r'^DATABASES\["default"\]\["OPTIONS"\]: '):
        wrapper.cursor()
    wrapper.close()
    wrapper.close_pool()


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=lambda value: str(value) * isinstance(value, dict))
def test_bad_options_are_an_error_of_djangos_system_check(options: dict[str, Any], message: str) -> None:
    databases = {"default": {"ENGINE": ENGINE, "NAME": "any", "OPTIONS": options}}
    with override_settings():
        settings.DATABASES = databases
        (error,) = check_databases()
    assert error.id == "geventpool.E001"
    assert message in error.msg


def test_conn_max_age_is_warned_about_and_works(make_database: MakeDatabase) -> None:
    with override_settings():
        settings.DATABASES = {"default": {"ENGINE": ENGINE, "NAME": "any", "CONN_MAX_AGE": 60}}
        (warning,) = check_databases()
    assert warning.id == "geventpool.W001"
    database = make_database(MAX_CONNS=1, settings={"CONN_MAX_AGE": 60})
    assert database.answer("select 7") == [(7,)]


def test_bad_options_end_no_process_that_connects_to_nothing(make_database: MakeDatabase) -> None:
    process = start_program("set_up", {**make_database().settings, "OPTIONS": {"MAX_CONN": 5}})
    assert output_of(process) == "postgresql\n"
    assert process.returncode == 0


#: Commands of manage.py, and their messages: of the checks, or when connecting.
COMMANDS = {
    "check": "?: (geventpool.E001) DATABASES",
    "check --database default": "?: (geventpool.E001) DATABASES",
    "migrate": "?: (geventpool.E001) DATABASES",
    "migrate --skip-checks": "UnusableDatabase: DATABASES",
    "runserver --noreload 0": "?: (geventpool.E001) DATABASES",
    "inspectdb": "UnusableDatabase: DATABASES",
    "test tests.testapp --pattern=django_tests.py": "UnusableDatabase: DATABASES",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_options_are_one_line_of_a_command_and_nothing_connects(make_database: MakeDatabase, command: str) -> None:
    database = make_database()
    process = start_program("manage", {**database.settings, "OPTIONS": {"MAX_CONN": 5}}, *command.split())
    output = output_of(process)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    (line,) = (line for line in output.splitlines() if "did you mean MAX_CONNS?" in line)
    assert line.startswith(COMMANDS[command])
    assert database.server.query("SELECT 1 FROM pg_database WHERE datname LIKE 'test_%'") == []


def test_no_driver_installed(make_database: MakeDatabase) -> None:
    process = start_program("ask_without_driver", make_database().settings)
    output = output_of(process)
    assert process.returncode != 0
    assert "ImproperlyConfigured" in output
    assert 'pip install "celery-geventpool[psycopg2]"' in output


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_an_unreachable_server_is_an_operational_error_at_once(make_database: MakeDatabase, closed_port: int) -> None:
    database = make_database(MAX_CONNS=1, settings={"HOST": "127.0.0.1", "PORT": closed_port})
    for _ in range(3):
        with pytest.raises(OperationalError, match="refused") as caught:
            database.fetch("select 1")
        assert not isinstance(caught.value, PoolTimeout)
    eventually(lambda: database.stats().size == 0, "the slot given back")


def test_a_database_that_is_not_there_is_an_operational_error(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, settings={"NAME": "no_such_database"})
    for _ in range(3):
        with pytest.raises(OperationalError, match="no_such_database"):
            database.fetch("select 1")
    eventually(lambda: database.stats().size == 0, "the slot given back")


def test_a_role_that_may_not_log_in_is_an_operational_error(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.server.query(f"ALTER ROLE {database.role} NOLOGIN")
    with pytest.raises(OperationalError, match="not permitted to log in"):
        database.fetch("select 1")
    database.server.query(f"ALTER ROLE {database.role} LOGIN")
    assert database.answer("select 7") == [(7,)]


@pytest.fixture(scope="module")
def server_with_password() -> Iterator[PostgresServer]:
    with PostgresServer(password="open-sesame-4711") as server:
        yield server


def test_a_wrong_password_is_an_operational_error_and_is_never_printed(
    server_with_password: PostgresServer, make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = make_database(server=server_with_password, MAX_CONNS=1, settings={"PASSWORD": "wrong-sesame-1234"})
    with pytest.raises(OperationalError, match="password authentication failed") as caught:
        database.fetch("select 1")
    shown = [repr(caught.value), str(caught.value), caplog.text, repr(database.pool), str(database.stats())]
    assert not any("sesame" in text for text in shown)


def test_the_right_password_is_never_printed_either(
    server_with_password: PostgresServer, make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = make_database(server=server_with_password, MAX_CONNS=1, CONN_WAIT_TIMEOUT=0)
    database.fetch("select 1")
    with pytest.raises(PoolTimeout) as caught:
        database.pool.getconn()
    shown = [repr(caught.value), str(caught.value), caplog.text, repr(database.pool), str(database.stats())]
    assert not any("sesame" in text for text in shown)
