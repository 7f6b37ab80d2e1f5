"""System checks of a pooler in a process that is not patched, such as manage.py's."""

from __future__ import annotations

import pytest

from django_geventpool.checks import pooler
from django_geventpool.checks.server import check_server

from .conftest import MakeDatabase, PutPgBouncerBefore

pytestmark = pytest.mark.frameworks("threads")


def test_a_pooler_without_a_second_connection_does_not_hold_the_check_up(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "_PATIENCE", 0.5)
    database = make_database(MAX_CONNS=1, role_limit=2)
    # PgBouncer itself would end the wait after 120 seconds.
    put_pgbouncer_before(database, "session", size=1)
    assert [message.id for message in check_server(database.alias)] == ["geventpool.I002"]
    database.assert_whole()
