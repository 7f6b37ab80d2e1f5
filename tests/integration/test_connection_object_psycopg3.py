"""A holder's changes of psycopg 3's connection object don't reach the next holder."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.adapt import Loader

from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

pytestmark = pytest.mark.driver("psycopg")


class Shout(Loader):
    """Loads text in capitals."""

    def load(self, data: Any) -> str:
        return bytes(data).decode().upper()


@MODES
def test_adapters_do_not_reach_the_next_holder(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    database.raw().adapters.register_loader("text", Shout)
    assert database.fetch("select 'a'::text") == [("A",)]
    database.give_back()
    assert Task(database.answer, "select 'a'::text, '{}'::jsonb, pg_backend_pid()").result() == [("a", "{}", pid)]


class Traced(psycopg.ClientCursor[Any]):
    """A cursor class of a library."""


def test_a_cursor_factory_that_was_set_at_connect_time_stays(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, cursor_factory=Traced)
    database.raw().cursor_factory = psycopg.ClientCursor
    database.give_back()
    assert database.raw().cursor_factory is Traced
