"""Engines derived from ours that change the connection's parameters where Django's own engine connects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.db import OperationalError

from servers.postgres import PostgresServer
from tests.support.derived_engines import Base, engine_of
from tests.support.drivers import driver
from tests.support.tasks import Task, results

from .conftest import MODES, MakeDatabase


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(password="f1rst-one") as own:
        yield own


class WithToken(Base):  # type: ignore[misc]
    """Adds a new token, which isn't in the settings, to the parameters of each connection."""

    token: ClassVar[str]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        return super().get_new_connection({**conn_params, "password": self.token, "application_name": "with token"})


class WithLastToken(Base):  # type: ignore[misc]
    """Keeps a token, and asks for another when the server refuses it."""

    token: ClassVar[str]
    last: ClassVar[str] = "none yet"

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        conn_params["application_name"] = "with token"
        conn_params["password"] = type(self).last
        try:
            return super().get_new_connection(conn_params)
        except (driver.OperationalError, OperationalError):
            conn_params["password"] = type(self).last = self.token
            return super().get_new_connection(conn_params)


@MODES
@pytest.mark.parametrize("kind", [WithToken, WithLastToken])
def test_connections_are_opened_with_what_the_engine_has_put_in(
    make_database: MakeDatabase, server: PostgresServer, kind: Any, mode: str
) -> None:
    database = make_database(server=server, MAX_CONNS=2, POOL_MODE=mode, settings={"ENGINE": engine_of(kind)})
    database.settings["PASSWORD"] = "not-this"
    kind.token = server.password
    asked = [
        Task(database.answer, "select left(current_setting('application_name'), 10), %s::int", n) for n in range(20)
    ]
    assert results(asked) == [[("with token", n)] for n in range(20)]
    database.assert_whole()

    kind.token = "s3cond-one"
    server.query(f"ALTER ROLE {database.role} PASSWORD '{kind.token}'")
    database.terminate()
    assert results([Task(database.answer, "select %s::int", n) for n in range(20)]) == [[(n,)] for n in range(20)]
    database.assert_whole()
    kind.token = server.password
