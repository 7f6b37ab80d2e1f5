"""A wrapper that several threads close at the same time, while others wait for its connection."""

from __future__ import annotations

import threading
from typing import Any

from django.db import transaction

from tests.support.database import Database
from tests.support.tasks import Task, results

from .conftest import MODES, MakeDatabase

#: How often the wrapper is closed, by how many threads at once, and how many others want the connection.
ROUNDS, CLOSERS, OTHERS = 20, 3, 3


@MODES
def test_nobody_else_loses_a_transaction(make_database: MakeDatabase, mode: str) -> None:
    """DISCARD ALL takes a round trip, during which the others ask."""
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=True)
    over = threading.Event()
    others = [Task(_use, database, over) for _ in range(OTHERS)]
    shared = database.connection
    shared.inc_thread_sharing()
    try:
        for _ in range(ROUNDS):
            shared.ensure_connection()
            start = threading.Barrier(CLOSERS)
            results([Task(_close, shared, start) for _ in range(CLOSERS)])
    finally:
        over.set()
        shared.dec_thread_sharing()
    assert sum(results(others)) > 0
    stats = database.stats()
    assert stats.closed.get("broken", 0) + stats.closed.get("killed", 0) + stats.reclaimed == 0
    assert stats.connects == 1
    database.assert_whole()


def _close(wrapper: Any, start: threading.Barrier) -> None:
    start.wait(30)
    wrapper.close()


def _use(database: Database, over: threading.Event) -> int:
    """Run one transaction after the other; return how many."""
    count = 0
    while not over.is_set():
        try:
            with transaction.atomic(using=database.alias):
                ((before,),) = database.fetch("select txid_current()")
                ((after,),) = database.fetch("select txid_current()")
            assert before == after, "somebody else has ended this transaction"
        finally:
            database.give_back()
        count += 1
    return count
