"""A server that requires TLS, and a password checked by SCRAM."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.support.tls import PASSWORD, SSL_MODES, TlsServer
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .conftest import MakeDatabase


@pytest.mark.parametrize("ssl_mode", SSL_MODES)
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_queries_go_over_tls_and_connections_are_used_again(
    make_database: MakeDatabase, tls: TlsServer, ssl_mode: str, mode: str
) -> None:
    # At a full server, connections would be closed for other processes, and opened again.
    database = make_database(
        server=tls.postgres, role_limit=5, MAX_CONNS=4, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60, **tls.options(ssl_mode)
    )
    protocol = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
    with Watcher(tls.postgres, database.role) as watcher:
        answers = results([Task(database.answer, protocol) for _ in range(100)])
        seen = watcher.seen()
    assert answers == [[(True, "TLSv1.3")]] * 100
    assert seen.sessions == seen.most <= 4
    database.assert_whole()
    stats = database.stats()
    # A readable socket isn't a dead connection here: TLS sends messages besides the answers.
    assert (stats.connects, stats.reconnects) == (4, 0)


def test_a_large_answer_leaves_nothing_behind_that_looks_like_the_end(
    make_database: MakeDatabase, tls: TlsServer
) -> None:
    database = make_database(server=tls.postgres, MAX_CONNS=1, **tls.options("verify-full"))
    for size in (16_000, 16_384, 100_000, 5_000_000):
        ((text,),) = database.answer("select repeat('x', %s::int)", size)
        assert len(text) == size
    for _ in range(100):
        database.answer("select 1")
    assert (database.stats().connects, database.stats().reconnects) == (1, 0)


def test_idle_connections_that_a_restart_ended_are_replaced_without_an_error(
    make_database: MakeDatabase, tls: TlsServer
) -> None:
    database = make_database(server=tls.postgres, MAX_CONNS=4, CONN_WAIT_TIMEOUT=60, **tls.options("require"))
    database.assert_whole()
    assert database.terminate() == 4
    assert [rows[0][0] for rows in results([Task(database.answer, "select %s::int", n) for n in range(20)])] == list(
        range(20)
    )
    assert database.stats().reconnects >= 1
    database.assert_whole()


def refused(database: Database) -> str:
    """Return the error message of a task that can't connect."""
    with pytest.raises(OperationalError) as caught:
        database.answer("select 1")
    message = str(caught.value)
    assert PASSWORD not in message
    return message


def test_a_wrong_password_is_an_error_that_names_the_role_only(make_database: MakeDatabase, tls: TlsServer) -> None:
    database = make_database(server=tls.postgres, MAX_CONNS=1, **tls.options("require"))
    database.settings["PASSWORD"] = "hunter2"
    for _ in range(3):
        message = refused(database)
        assert f'password authentication failed for user "{database.role}"' in message
        assert "hunter2" not in message
    eventually(lambda: database.stats().size == 0, "no connection left")


def test_an_unknown_authority_is_an_error(make_database: MakeDatabase, tls: TlsServer) -> None:
    database = make_database(
        server=tls.postgres, MAX_CONNS=1, sslmode="verify-full", sslrootcert=str(tls.other_authority)
    )
    assert "certificate verify failed" in refused(database)
    eventually(lambda: database.stats().size == 0, "no connection left")


def test_another_host_than_that_of_the_certificate_is_an_error(make_database: MakeDatabase, tls: TlsServer) -> None:
    database = make_database(
        server=tls.postgres,
        MAX_CONNS=1,
        settings={"HOST": "other.example"},
        hostaddr="127.0.0.1",
        **tls.options("verify-full"),
    )
    assert 'does not match host name "other.example"' in refused(database)


def test_without_tls_nobody_is_let_in(make_database: MakeDatabase, tls: TlsServer) -> None:
    database = make_database(server=tls.postgres, MAX_CONNS=1, sslmode="disable")
    assert "no encryption" in refused(database)
