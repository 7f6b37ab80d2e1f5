"""Whether a server answers, which is asked without a session."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_geventpool.backends.pools import server_answers
from django_geventpool.drivers.answers import answers
from servers.postgres_address import Postgres
from servers.process import wait_until
from servers.tls import OpensslNotFound, make_certificate
from tests.support.tls import TlsServer

from .conftest import MakeDatabase, PutPgBouncerBefore


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of a server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_server_answers_over_each_of_its_doors(postgres: Postgres) -> None:
    assert answers({"host": postgres.host, "port": str(postgres.port)}, 5) is True
    assert answers({"host": "ignored.invalid", "hostaddr": "127.0.0.1", "port": str(postgres.port)}, 5) is True
    for folder in postgres.query("SHOW unix_socket_directories")[0][0].split(","):
        assert answers({"host": folder.strip(), "port": str(postgres.port)}, 5) is True


def test_what_is_no_server_does_not_answer(silent: tuple[str, int], closed_port: int) -> None:
    began = time.monotonic()
    for where in (
        {"host": "127.0.0.1", "port": str(closed_port)},
        {"host": "127.0.0.1", "port": str(silent[1])},
        {"host": "none.invalid", "port": "5432"},
        {"host": "/no/such/folder", "port": "5432"},
        {"host": "@no_such_name", "port": "5432"},
        {"host": "127.0.0.1", "port": "no port"},
        {"host": "127.0.0.1", "port": "99999"},
    ):
        assert answers(where, 0.3) is False, where
    assert time.monotonic() - began < 10


def test_one_of_several_hosts_is_enough(postgres: Postgres, closed_port: int) -> None:
    several = {"host": f"127.0.0.1,{postgres.host}", "port": f"{closed_port},{postgres.port}"}
    assert answers(several, 5) is True
    assert answers({**several, "port": str(closed_port)}, 5) is False


def test_where_no_host_is_given_nobody_can_tell() -> None:
    assert answers({}, 5) is None


def test_asking_takes_no_session_and_no_password(make_database: MakeDatabase) -> None:
    asked = []

    def password() -> str:
        asked.append("password")
        return "secret"

    database = make_database(MAX_CONNS=1, settings={"PASSWORD": password})
    database.settings["OPTIONS"]["client_encoding"] = "UTF8"
    connected = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    database.server.query("SELECT pg_stat_force_next_flush()")
    before = database.server.query(connected)
    for _ in range(5):
        assert server_answers(database.alias, 5) is True
    assert asked == []
    # Each look at the numbers is a session itself.
    assert int(database.server.query(connected)[0][0]) - int(before[0][0]) <= 1
    assert database.count() == 0


def test_a_pooler_answers_for_itself(make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore) -> None:
    database = make_database(MAX_CONNS=1)
    pooler = put_pgbouncer_before(database, "transaction")
    assert server_answers(database.alias, 5) is True
    pooler.stop()
    assert server_answers(database.alias, 5) is False
    pooler.start()


def test_a_server_with_tls_has_nothing_to_log(tls: TlsServer) -> None:
    log = tls.postgres.log_file
    before = len(log.read_text())
    assert answers({"host": "127.0.0.1", "port": str(tls.postgres.port)}, 5) is True
    with socket.create_connection(("127.0.0.1", tls.postgres.port), 5) as connection:
        connection.sendall(struct.pack("!ii", 8, 80877103))
        assert connection.recv(1) == b"S"
    assert wait_until(lambda: "could not accept SSL" in log.read_text()[before:], 10), "of this one, which is rude"
    assert log.read_text()[before:].count("could not accept SSL") == 1


def test_a_server_that_demands_a_certificate_answers(tmp_path: Path) -> None:
    """With TLS 1.2 the client hears of it in the handshake; PostgreSQL itself demands it later, poolers may not."""
    try:
        certificate = make_certificate(tmp_path, "server")
    except OpensslNotFound as error:
        pytest.skip(str(error))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.load_verify_locations(certificate.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    refusals = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(8)
        connection.sendall(b"S")
        try:
            context.wrap_socket(connection, server_side=True).close()
        except ssl.SSLError as error:
            refusals.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        assert answers({"host": "127.0.0.1", "port": str(listener.getsockname()[1])}, 5) is True
        server.join()
    assert len(refusals) == 1, "the handshake has failed"
