"""Connections that the server ends before their first statement: they are replaced if nothing can have begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.signals import connection_created

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.drivers import DRIVER
from tests.support.tasks import FRAMEWORK, Task
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase, make_schema

#: A first statement; returns the id of the server process.
Statement = Callable[[Database], int]


def query(database: Database) -> int:
    return database.pid()


def iterate(database: Database) -> int:
    with connections[database.alias].chunked_cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return int(cursor.fetchone()[0])


def begin_a_savepoint(database: Database) -> int:
    with transaction.atomic(using=database.alias):
        return database.pid()


def log_a_query(database: Database) -> int:
    database.connection.force_debug_cursor = True
    return database.pid()


STATEMENTS = pytest.mark.parametrize("statement", [query, iterate, begin_a_savepoint, log_a_query])


def end_session(database: Database) -> int:
    """Make the server end the only session; return its process id."""
    ((pid, *_),) = database.sessions()
    assert database.terminate() == 1
    return int(pid)


@MODES
@STATEMENTS
def test_a_transaction_whose_connection_is_lost_before_its_first_statement_has_another(
    make_database: MakeDatabase, mode: str, statement: Statement
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    with transaction.atomic(using=database.alias):
        ended = end_session(database)
        pid = statement(database)
        assert pid != ended
        assert database.pid() == pid
        assert database.sessions("state = 'idle in transaction'"), "the transaction goes on without one"
    database.give_back()
    database.assert_whole()


def test_a_connection_that_was_asked_for_and_is_lost_before_it_is_used_is_replaced(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.connection.ensure_connection()
    ended = end_session(database)
    assert database.pid() != ended
    database.give_back()
    database.assert_whole()


def test_receivers_meet_the_connection_that_comes_in_its_place(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    met: list[object] = []

    def meet(connection: object, **_kwargs: object) -> None:
        if connection is database.connection:
            met.append(database.connection.connection)

    connection_created.connect(meet)
    try:
        with transaction.atomic(using=database.alias):
            end_session(database)
            database.pid()
            assert len(met) == 2
            assert met[-1] is database.connection.connection
    finally:
        connection_created.disconnect(meet)
    database.give_back()


@MODES
def test_a_session_that_was_used_is_not_replaced_silently(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    database.connection.ensure_connection()
    with database.connection.connection.cursor() as raw:
        raw.execute("set application_name = 'mine'")
    end_session(database)
    with pytest.raises(OperationalError):
        database.pid()
    database.give_back()
    database.assert_whole()


@MODES
def test_a_transaction_that_has_begun_is_not_replaced_silently(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    @transaction.atomic(using=database.alias)
    def run() -> None:
        database.pid()
        end_session(database)
        database.pid()

    with pytest.raises(OperationalError):
        run()
    database.give_back()
    database.assert_whole()


# The server's good-bye is still on its way when the statement is sent


@pytest.fixture(scope="module")
def hasty_server() -> Iterator[PostgresServer]:
    """A server that ends sessions that are idle for half a second."""
    try:
        server = PostgresServer(idle_session_timeout="500ms")
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        make_schema(server)
        yield server


@contextlib.contextmanager
def behind_a_proxy(make_database: MakeDatabase, server: PostgresServer, mode: str) -> Iterator[tuple[Database, Proxy]]:
    with Proxy(server.host, server.port) as proxy:
        database = make_database(
            server=server,
            MAX_CONNS=1,
            role_limit=3,
            POOL_MODE=mode,
            settings={"HOST": "127.0.0.1", "PORT": proxy.port},
        )
        database.answer("select 1")
        yield database, proxy


def send_to_nobody(database: Database, proxy: Proxy, statement: Callable[[], object]) -> object:
    """Send a statement to a server that has ended the session, but whose good-bye has not arrived yet."""

    def run() -> object:
        try:
            return statement()
        finally:
            database.give_back()

    proxy.freeze()
    try:
        eventually(lambda: database.count() == 0, "the session ended by the server")
        task = Task(run)
        eventually(lambda: proxy.kept() > 0, "the statement on its way")
    finally:
        proxy.thaw()
    return task.result()


@MODES
@STATEMENTS
def test_a_statement_that_a_session_was_too_idle_for_is_sent_to_another(
    make_database: MakeDatabase, hasty_server: PostgresServer, mode: str, statement: Statement
) -> None:
    with behind_a_proxy(make_database, hasty_server, mode) as (database, proxy):
        # Where libpq itself waits, it drops the server's message, and the error is that of a lost connection.
        is_told = (FRAMEWORK, DRIVER) != ("threads", "psycopg2") or statement is begin_a_savepoint
        with contextlib.nullcontext() if is_told else pytest.raises(OperationalError):
            assert send_to_nobody(database, proxy, lambda: statement(database))
        assert not (is_told and database.connection.errors_occurred)
        database.assert_whole()


@MODES
def test_a_transaction_that_can_not_begin_begins_on_another(
    make_database: MakeDatabase, postgres: PostgresServer, schema: None, mode: str
) -> None:
    with behind_a_proxy(make_database, postgres, mode) as (database, proxy):

        def create() -> None:
            with transaction.atomic(using=database.alias):
                Item.objects.using(database.alias).create(name=database.alias)

        proxy.freeze()
        database.terminate()
        send_to_nobody(database, proxy, create)
        assert Item.objects.using(database.alias).filter(name=database.alias).count() == 1
        database.give_back()
        database.assert_whole()


@MODES
def test_a_statement_that_may_have_begun_is_not_sent_again(
    make_database: MakeDatabase, postgres: PostgresServer, mode: str
) -> None:
    with behind_a_proxy(make_database, postgres, mode) as (database, proxy):
        proxy.freeze()
        database.terminate()
        with pytest.raises(OperationalError):
            send_to_nobody(database, proxy, lambda: database.fetch("select 1"))
        database.assert_whole()
