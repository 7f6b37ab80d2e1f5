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
