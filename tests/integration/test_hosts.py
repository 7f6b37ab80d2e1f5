"""Several hosts, and the ways to name them: each is tried in turn, with libpq's choices among them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from servers.postgres import PostgresServer
from servers.postgres_address import Postgres
from servers.postgres_binaries import PostgresNotFound
from tests.support.database import Database
from tests.support.pair import Pair, pair_of_servers
from tests.support.tasks import Task, results
from tests.support.tls import PASSWORD, TlsServer
from tests.support.waiting import eventually

from .conftest import MakeDatabase

HOST = "127.0.0.1"
IS_STANDBY = "select pg_is_in_recovery()"


@contextlib.contextmanager
def unreachable() -> Iterator[int]:
    """A port that doesn't answer, not even with a refusal."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):  # More than fit into the backlog: further connects are dropped by the system.
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A server that accepts connections and never sends anything."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("dead", [unreachable, refusing, silent])
def test_a_dead_host_is_passed_over(
    make_database: MakeDatabase, postgres: Postgres, dead: contextlib.AbstractContextManager[int]
) -> None:
    with dead() as port:  # type: ignore[operator]
        hosts = {"HOST": f"{HOST},{HOST}", "PORT": f"{port},{postgres.port}"}
        database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60, connect_timeout=2, settings=hosts)
        assert results([Task(database.answer, "select 7") for _ in range(10)]) == [[(7,)]] * 10
        database.assert_whole()


def test_a_name_that_nobody_knows_is_passed_over(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, settings={"HOST": "nowhere.invalid,localhost"})
    assert database.answer("select 7") == [(7,)]
    nowhere = make_database(MAX_CONNS=1, settings={"HOST": "nowhere.invalid"})
    # psycopg before 3.2.13 doesn't name the host; eventlet has words of its own.
    with pytest.raises(
        OperationalError, match=r"nowhere\.invalid|Name or service not known|resolution|No address found"
    ):
        nowhere.answer("select 7")
    eventually(lambda: nowhere.stats().size == 0, "the slot given back")


def test_the_environment_and_services_say_where(
    make_database: MakeDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with refusing() as port:
        hosts, ports = f"localhost,{HOST}", f"{port},{postgres.port}"
        monkeypatch.setenv("PGHOST", hosts)
        monkeypatch.setenv("PGPORT", ports)
        database = make_database(MAX_CONNS=1, settings={"HOST": "", "PORT": ""})
        assert database.answer("select 7") == [(7,)]
        monkeypatch.delenv("PGHOST")
        monkeypatch.delenv("PGPORT")
        file = tmp_path / "services"
        file.write_text(f"[shop]\nhost={hosts}\nport={ports}\ndbname={postgres.dbname}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(file))
        database = make_database(MAX_CONNS=1, service="shop", settings={"HOST": "", "PORT": "", "NAME": ""})
        assert database.answer("select 7") == [(7,)]


def test_a_unix_socket_is_a_host_among_others(make_database: MakeDatabase, postgres: Postgres) -> None:
    if not isinstance(postgres, PostgresServer):
        pytest.skip("the server is elsewhere")
    with refusing() as port:
        for host in (str(postgres.socket_dir), f"{HOST},{postgres.socket_dir}"):
            ports = str(postgres.port) if "," not in host else f"{port},{postgres.port}"
            database = make_database(MAX_CONNS=1, settings={"HOST": host, "PORT": ports})
            assert database.answer("select inet_server_addr()") == [(None,)]


def test_a_wrong_password_is_tried_at_one_host_only(make_database: MakeDatabase, tls: TlsServer) -> None:
    server = tls.postgres
    twice = {"HOST": f"{HOST},{HOST}", "PORT": f"{server.port},{server.port}", "PASSWORD": "wrong"}
    database = make_database(server=server, MAX_CONNS=1, settings=twice, **tls.options("require"))
    with pytest.raises(OperationalError, match="password authentication failed"):
        database.answer("select 7")
    assert server.log.count(f'password authentication failed for user "{database.role}"') == 1


def test_a_certificate_is_checked_by_the_name(make_database: MakeDatabase, tls: TlsServer) -> None:
    options = tls.options("verify-full")
    database = make_database(server=tls.postgres, MAX_CONNS=1, settings={"HOST": "localhost"}, **options)
    assert database.answer("select 7") == [(7,)]


def test_a_password_file_is_searched_for_the_name(make_database: MakeDatabase, tls: TlsServer, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"localhost:{tls.postgres.port}:*:*:{PASSWORD}\n{HOST}:*:*:*:wrong\n")
    file.chmod(0o600)
    settings = {"HOST": "localhost", "PASSWORD": ""}
    options = tls.options("require", passfile=str(file))
    database = make_database(server=tls.postgres, MAX_CONNS=1, settings=settings, **options)
    assert database.answer("select 7") == [(7,)]


# Which of several servers


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        try:
            pair = stack.enter_context(pair_of_servers())
        except PostgresNotFound as error:
            pytest.skip(str(error))
        yield pair


def make_for_both(make_database: MakeDatabase, pair: Pair, ports: str, **options: object) -> Database:
    numbers = ",".join(str({"p": pair.primary.port, "s": pair.standby.port}[name]) for name in ports)
    hosts = {"HOST": ",".join([HOST] * len(ports)), "PORT": numbers}
    # Where libpq itself waits, a session that it has rejected may still be there when it tries the next host.
    database = make_database(server=pair.primary, MAX_CONNS=2, role_limit=4, settings=hosts, **options)
    pair.await_role(database.role)
    return database


@pytest.mark.parametrize(
    ("ports", "wanted", "is_standby"),
    [
        ("sp", "any", True),
        ("sp", "read-write", False),
        ("sp", "primary", False),
        ("ps", "standby", True),
        ("ps", "read-only", True),
        ("ps", "prefer-standby", True),
        ("pp", "prefer-standby", False),
    ],
)
def test_the_server_is_the_one_that_is_wanted(
    make_database: MakeDatabase, pair: Pair, ports: str, wanted: str, is_standby: bool
) -> None:
    database = make_for_both(make_database, pair, ports, target_session_attrs=wanted)
    assert database.answer(IS_STANDBY) == [(is_standby,)]
    database.assert_whole()


def test_no_server_that_is_wanted_is_an_error(make_database: MakeDatabase, pair: Pair) -> None:
    database = make_for_both(make_database, pair, "pp", target_session_attrs="standby")
    with pytest.raises(OperationalError, match="standby"):
        database.answer(IS_STANDBY)
    eventually(lambda: database.stats().size == 0, "the slot given back")


def test_load_is_balanced(make_database: MakeDatabase, pair: Pair) -> None:
    database = make_for_both(make_database, pair, "ps", load_balance_hosts="random", CONN_MAX_LIFETIME=0.001)
    # With a probability of one in a thousand million, all would be the same by chance.
    assert {database.answer(IS_STANDBY)[0][0] for _ in range(30)} == {True, False}
