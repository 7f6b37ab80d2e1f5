"""A real PgBouncer, if it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from servers.pgbouncer import PgBouncer, PgBouncerNotFound
from servers.postgres import PostgresServer
from servers.postgres_address import Dsn

NOWHERE = Dsn(host="127.0.0.1", port=9, user="nobody", password="se'cret", dbname="nothing")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(password="se'cret") as server:
        yield server


def pgbouncer(dsn: Dsn) -> PgBouncer:
    try:
        return PgBouncer(dsn, pool_mode="session", size=2)
    except PgBouncerNotFound as error:
        pytest.skip(str(error))


def test_clients_of_any_name_reach_the_server_as_its_role(server: PostgresServer) -> None:
    with pgbouncer(server.dsn) as pooler:
        client = psycopg2.connect(host=pooler.host, port=pooler.port, user="whoever", dbname=server.dbname)
        try:
            with client.cursor() as cursor:
                cursor.execute("select current_user")
                assert cursor.fetchone() == (server.user,)
            (pool,) = [row for row in pooler.show("POOLS") if row["database"] == server.dbname]
            assert (pool["pool_mode"], pool["cl_active"], pool["sv_active"]) == ("session", "1", "1")
        finally:
            client.close()


def test_it_comes_back_on_the_same_port() -> None:
    with pgbouncer(NOWHERE) as pooler:
        port, pid = pooler.port, pooler.pid
        pooler.kill()
        assert not pooler.is_running
        pooler.start()
        pooler.restart()
        assert pooler.port == port
        assert pooler.pid != pid
        assert pooler.log.count("process up") == 3
        assert pooler.show("VERSION")


def test_nothing_is_left_of_a_closed_one() -> None:
    with pgbouncer(NOWHERE) as pooler:
        assert pooler.is_running
    assert not pooler.is_running
    assert pooler.log == ""
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host=pooler.host, port=pooler.port, user="pgbouncer", dbname="pgbouncer")


def test_a_setting_that_it_refuses_is_shown() -> None:
    try:
        pooler = PgBouncer(NOWHERE, pool_mode="session", size=1, no_such_setting=1)
    except PgBouncerNotFound as error:
        pytest.skip(str(error))
    with pytest.raises(RuntimeError, match="no_such_setting"):
        pooler.start()


def test_without_a_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.pgbouncer.find_pgbouncer", lambda: None)
    with pytest.raises(PgBouncerNotFound, match="apt-get install pgbouncer"):
        PgBouncer(NOWHERE, pool_mode="session", size=1)
