"""Settings that only psycopg2 has."""

from __future__ import annotations

import psycopg2.extensions
import psycopg2.extras
import pytest
from django.db import connections

from .conftest import MakeDatabase

pytestmark = pytest.mark.driver("psycopg2")


class Factory(psycopg2.extensions.connection):
    """A connection class of the user's."""


def test_connection_factory_and_cursor_factory(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, connection_factory=Factory, cursor_factory=psycopg2.extras.NamedTupleCursor)
    row = database.fetch("select 7 as seven")[0]
    assert row.seven == 7  # type: ignore[attr-defined]
    assert isinstance(connections[database.alias].connection, Factory)
    database.give_back()
    database.assert_whole()


def test_the_session_list_is_read_past_other_codes_typecasters(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = psycopg2.extensions.string_types
    shout = psycopg2.extensions.new_type((25,), "SHOUT", lambda value, _cursor: value and value.upper())
    monkeypatch.setitem(types, 25, shout)
    database = make_database(MAX_CONNS=1)
    assert database.fetch("select 'a'::text") == [("A",)]
    census = database.pool.driver.look(database.connection.connection, "")
    assert census is not None
    assert census.is_readable
    database.give_back()
