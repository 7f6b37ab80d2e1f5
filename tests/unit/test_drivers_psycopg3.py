"""The driver of psycopg 3 without a real server: what it asks, and how it understands the answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import pq

from django_geventpool.drivers.cancel import start_cancelling
from django_geventpool.drivers.psycopg import PsycopgDriver
from django_geventpool.drivers.psycopg_connection import PsycopgConnection, library

pytestmark = pytest.mark.imports("psycopg")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGOPTIONS", "PGCONNECT_TIMEOUT", "PGSERVICE", "PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)


class Server:
    """A server that listens, reads a number of bytes from each client, answers and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self.heard.append(client.recv(65536))
                client.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def fatal(code: str, message: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{code}\0M{message}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.fixture
def full_server() -> Iterator[Server]:
    server = Server(fatal("53300", "sorry, too many clients already"))
    yield server
    server.close()


def make_driver(**parameters: Any) -> PsycopgDriver:
    return PsycopgDriver(
        lambda: {"dbname": "shop", "user": "app", "sslmode": "disable", "gssencmode": "disable", **parameters},
        lambda connection: None,
    )


def fail(driver: PsycopgDriver) -> tuple[psycopg.Error, list[PsycopgConnection]]:
    """Let a driver fail to connect; return its error, and the connections that it had begun to open."""
    opened: list[PsycopgConnection] = []
    with pytest.raises(psycopg.OperationalError) as caught:
        driver.connect(opened.append)
    # None means that there is nothing left to close.
    return caught.value, list(filter(None, opened))


def test_a_full_server_is_known(full_server: Server) -> None:
    driver = make_driver(host="127.0.0.1", port=full_server.port)
    error, (connection,) = fail(driver)
    assert driver.is_server_full(error)
    assert connection.closed
    assert not driver.is_server_full(psycopg.OperationalError("the server is tired"))
    assert not driver.is_server_full(ValueError(str(error)))


def test_the_server_is_asked_to_look_after_its_client(full_server: Server) -> None:
    fail(make_driver(host="127.0.0.1", port=full_server.port))
    assert b"client_connection_check_interval=2000" in full_server.heard[0]


def test_every_host_is_tried_and_the_error_tells_of_each(full_server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        driver = make_driver(host="127.0.0.1,127.0.0.1", port=f"{port},{full_server.port}")
        error, opened = fail(driver)
    assert "too many clients" in str(error)
    assert [connection.closed for connection in opened] == [True, True]
    if tuple(map(int, psycopg.__version__.split(".")[:2])) >= (3, 3):  # Earlier ones report the last attempt only.
        assert "refused" in str(error)


def test_connect_timeout_is_honoured_by_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error, (connection,) = fail(make_driver(host="127.0.0.1", port=silent.getsockname()[1], connect_timeout=1))
    assert isinstance(error, psycopg.errors.ConnectionTimeout)
    assert "connect_timeout" in str(error)
    assert connection.closed


def test_a_password_is_in_no_message(full_server: Server) -> None:
    error, (connection,) = fail(make_driver(host="127.0.0.1", port=full_server.port, password="open-sesame"))
    assert "sesame" not in f"{error!r} {error} {connection!r}"


def test_bad_parameters_are_refused_before_anything_is_opened() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="no_such_option"):
        make_driver(no_such_option=1).connect(lambda connection: pytest.fail("opened"))


def test_a_lock_that_was_made_before_patching_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(threading, "Lock", lambda: made.append(object()) or made[-1])
    connection = PsycopgConnection(pq.PGconn.connect_start(b"host=127.0.0.1 port=1"))
    assert connection.lock in made
    connection.pgconn.finish()


def test_libpq_can_be_reached_for_cancelling() -> None:
    connection = pq.PGconn.connect_start(b"host=127.0.0.1 port=1")
    assert start_cancelling(library(), connection.pgconn_ptr)  # type: ignore[attr-defined]
    connection.finish()


def test_without_a_libpq_to_call_the_driver_is_told() -> None:
    assert not start_cancelling("/no/such/library.so", 1)
