"""Greenlets that are killed, or time out, in the middle of a query that PgBouncer passes on."""

from __future__ import annotations

import pytest

from servers.pgbouncer import PoolMode
from tests.support.tasks import Interruption, Task, results
from tests.support.victims import interrupt_all, start_victims

from .conftest import MakeDatabase, PutPgBouncerBefore
from .test_green_kill_query import INTERRUPTIONS
from .test_pgbouncer import POOLER_MODES

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("pooler_mode", POOLER_MODES)
def test_an_interrupted_query_ends_on_the_server(
    make_database: MakeDatabase,
    put_pgbouncer_before: PutPgBouncerBefore,
    pooler_mode: PoolMode,
    mode: str,
    how: Interruption,
) -> None:
    # PgBouncer may open a new connection to the server before the server has ended one that PgBouncer has closed.
    database = make_database(MAX_CONNS=5, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60, role_limit=10)
    put_pgbouncer_before(database, pooler_mode)
    for _ in range(4):
        interrupt_all(database, start_victims(database, 5), how)
        answers = results([Task(database.answer, "select %s::int", number) for number in range(20)])
        assert [rows[0][0] for rows in answers] == list(range(20))
    database.assert_whole()
