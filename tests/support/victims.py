"""Tasks that are interrupted in the middle of queries."""

from __future__ import annotations

from .database import Database
from .tasks import Interruption, Task, is_interruption
from .waiting import eventually

#: How soon an interrupted query must have ended on the server (seconds): one is promised, the rest is for slow
#: machines.
SOON = 5.0


def start_victims(database: Database, count: int) -> list[Task[object]]:
    """Start tasks, and return them when each is in a query of ten minutes."""
    victims: list[Task[object]] = [Task(database.fetch, "select pg_sleep(600)") for _ in range(count)]
    database.await_running("pg_sleep(600)", count)
    return victims


def interrupt_all(database: Database, victims: list[Task[object]], how: Interruption) -> None:
    """Interrupt all tasks, and assert that their queries end on the server."""
    for victim in victims:
        victim.interrupt(how)
    eventually(lambda: not database.running("pg_sleep(600)"), "the queries gone from the server", SOON)
    for victim in victims:
        victim.wait()
        assert is_interruption(victim.error), repr(victim.error)
