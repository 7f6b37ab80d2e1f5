"""The driver of psycopg2 without a server: what it asks, and how it understands the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions, extras

from django_geventpool.drivers import psycopg2 as driver_module
from django_geventpool.drivers.connect_call import current_connect_call
from django_geventpool.drivers.psycopg2 import Psycopg2Driver
from django_geventpool.drivers.psycopg2_connection import Psycopg2Connection
from django_geventpool.drivers.server import is_check_interval_refused, is_full

pytestmark = pytest.mark.imports("psycopg2")

FULL = [
    'connection to server at "127.0.0.1", port 5432 failed: FATAL:  sorry, too many clients already',
    'connection to server at "127.0.0.1", port 5432 failed: FATAL:  too many connections for role "app"',
    'FATAL:  too many connections for database "shop"',
    "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
    'FATAL:  remaining connection slots are reserved for roles with privileges of the "pg_use_reserved" role',
    "FATAL:  no more connections allowed (max_client_conn)",
]
OTHERS = [
    'FATAL:  password authentication failed for user "app"',
    'FATAL:  database "shop" does not exist',
    "FATAL:  the database system is starting up",
    'connection to server at "127.0.0.1", port 1 failed: Connection refused\n\tIs the server running on that host?',
    "connection to server failed: connect_timeout expired",
    'FATAL:  unrecognized configuration parameter "x"',
]


class Server:
    """Stands in for ``psycopg2.connect``, with an answer for each connect."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def connect(self, connection_factory: Callable[..., Any], **parameters: Any) -> Any:
        self.asked.append(parameters)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        established: Any = Established()
        call = current_connect_call()
        assert call is not None
        call.begin(established)
        return established

    @property
    def options(self) -> list[str | None]:
        return [parameters.get("options") for parameters in self.asked]


class Established:
    """Stands in for the open connection."""

    isolation_level = None
    autocommit = False
    serial = 0

    def reported(self, name: str) -> str | None:
        return None

    def own(self) -> None:
        pass

    def record_address(self) -> None:
        pass

    def record_as_opened(self) -> None:
        pass


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGOPTIONS", "PGCONNECT_TIMEOUT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


def make_driver(monkeypatch: pytest.MonkeyPatch, server: Server, **parameters: Any) -> Psycopg2Driver:
    monkeypatch.setattr(driver_module.psycopg2, "connect", server.connect)
    return Psycopg2Driver(lambda: dict(parameters), lambda connection: None)


# A full server


@pytest.mark.parametrize("message", FULL)
def test_a_full_server_is_known_by_its_words(message: str) -> None:
    assert is_full(message)
    driver = Psycopg2Driver(dict, lambda connection: None)
    assert driver.is_server_full(psycopg2.OperationalError(message))


@pytest.mark.parametrize("message", OTHERS)
def test_other_errors_are_no_full_server(message: str) -> None:
    assert not is_full(message)


def test_only_an_operational_error_tells_of_a_full_server() -> None:
    driver = Psycopg2Driver(dict, lambda connection: None)
    for error in (ValueError(FULL[0]), psycopg2.ProgrammingError(FULL[0]), KeyboardInterrupt(FULL[0])):
        assert not driver.is_server_full(error)


# client_connection_check_interval


def test_the_server_is_asked_to_look_after_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)
    make_driver(monkeypatch, server, dbname="shop").connect(lambda connection: None)
    assert server.asked == [{"dbname": "shop", "options": "-c client_connection_check_interval=2000"}]


def test_the_users_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)
    make_driver(monkeypatch, server, options="-c work_mem=8MB").connect(lambda connection: None)
    assert server.options == ["-c work_mem=8MB -c client_connection_check_interval=2000"]


def test_the_environments_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=8MB")
    server = Server(None)
    make_driver(monkeypatch, server).connect(lambda connection: None)
    assert server.options == ["-c work_mem=8MB -c client_connection_check_interval=2000"]


def test_the_users_own_interval_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)
    own = "-c client_connection_check_interval=0"
    make_driver(monkeypatch, server, options=own).connect(lambda connection: None)
    assert server.options == [own]


def test_a_service_file_has_the_say(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(None)
    make_driver(monkeypatch, server, service="shop").connect(lambda connection: None)
    assert server.asked == [{"service": "shop"}]


@pytest.mark.parametrize(
    "message",
    [
        'FATAL:  unrecognized configuration parameter "client_connection_check_interval"',
        'FATAL:  invalid value for parameter "client_connection_check_interval": "2000"',
        "FATAL:  unsupported startup parameter: options",
        "FATAL:  unsupported startup parameter in options: client_connection_check_interval",
    ],
)
def test_a_server_that_does_not_know_the_interval_is_asked_once(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    assert is_check_interval_refused(message)
    server = Server(psycopg2.OperationalError(message), None, None)
    driver = make_driver(monkeypatch, server, options="-c work_mem=8MB")
    driver.connect(lambda connection: None)
    driver.connect(lambda connection: None)
    assert server.options == [
        "-c work_mem=8MB -c client_connection_check_interval=2000",
        "-c work_mem=8MB",
        "-c work_mem=8MB",
    ]


#: After these, a connect without the interval may succeed.
ANSWERS = [message for message in OTHERS if "does not exist" in message or "unrecognized" in message]


@pytest.mark.parametrize("message", ANSWERS)
def test_until_one_connect_has_succeeded_a_refusal_may_be_because_of_it(
    monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    server = Server(psycopg2.OperationalError(message), None, None)
    driver = make_driver(monkeypatch, server)
    driver.connect(lambda connection: None)
    driver.connect(lambda connection: None)
    assert server.options == ["-c client_connection_check_interval=2000", None, None]


@pytest.mark.parametrize(
    ("message", "is_known"),
    [(message, known) for message in (*FULL, *OTHERS) for known in (True, False) if known or message not in ANSWERS],
)
def test_other_refusals_are_raised_as_they_are(monkeypatch: pytest.MonkeyPatch, message: str, is_known: bool) -> None:
    assert not is_check_interval_refused(message)
    error = psycopg2.OperationalError(message)
    server = Server(*[None] * is_known, error, None)
    driver = make_driver(monkeypatch, server)
    if is_known:
        driver.connect(lambda connection: None)
    with pytest.raises(psycopg2.OperationalError) as caught:
        driver.connect(lambda connection: None)
    assert caught.value is error
    driver.connect(lambda connection: None)
    assert server.options == ["-c client_connection_check_interval=2000"] * (3 if is_known else 2)


def test_what_is_refused_both_ways_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [psycopg2.OperationalError('FATAL:  database "shop" does not exist') for _ in range(2)]
    server = Server(*errors, None)
    driver = make_driver(monkeypatch, server)
    with pytest.raises(psycopg2.OperationalError) as caught:
        driver.connect(lambda connection: None)
    assert caught.value is errors[1]
    driver.connect(lambda connection: None)
    assert server.options[2] == "-c client_connection_check_interval=2000"


# The connection's class


def test_the_users_connection_class_is_combined_with_ours() -> None:
    kind = driver_module._kind_of(extras.LoggingConnection)  # noqa: SLF001  one step of a connect
    assert issubclass(kind, Psycopg2Connection)
    assert issubclass(kind, extras.LoggingConnection)
    assert kind.close is Psycopg2Connection.close


@pytest.mark.parametrize("factory", [None, extensions.connection, Psycopg2Connection])
def test_without_a_class_of_the_users_ours_is_used(factory: type[extensions.connection] | None) -> None:
    assert driver_module._kind_of(factory) is Psycopg2Connection  # noqa: SLF001
