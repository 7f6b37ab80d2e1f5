"""A password function that waits: the greenlet that connects may be killed meanwhile."""

from __future__ import annotations

import threading

import pytest

from tests.support.tasks import Task, is_interruption
from tests.support.waiting import DEADLINE, eventually

from .conftest import MakeDatabase
from .test_green_kill_query import INTERRUPTIONS

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


def test_a_task_that_is_interrupted_while_it_asks_for_the_password_leaves_its_place_to_others(
    make_database: MakeDatabase,
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60)
    answer, asking = threading.Event(), []

    def fetch_password() -> str:
        asking.append(None)
        assert answer.wait(DEADLINE)
        return database.server.password

    database.settings["PASSWORD"] = fetch_password
    for how in INTERRUPTIONS:
        asking.clear()
        victims = [Task(database.answer, "select 1") for _ in range(2)]
        eventually(lambda: len(asking) == 2, "both to ask")
        waiter = Task(database.answer, "select 7")
        eventually(lambda: database.stats().waiting == 1, "another to wait for its turn, which blocks nobody")
        for victim in victims:
            victim.interrupt(how)
        for victim in victims:
            victim.wait()
            assert is_interruption(victim.error), repr(victim.error)
        eventually(lambda: len(asking) == 3, "the waiter to ask")
        answer.set()
        assert waiter.result() == [(7,)]
        database.pool.close_idle()
        answer.clear()
    answer.set()
    database.assert_whole()
