"""Tasks that don't leave their connection as they should, and a process that forks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...contenders import LIMIT
from ..findings import Finding, failed
from ..scenario import Scenario, Setting
from ..stage import Stage

_CULPRITS = 30
_WITNESSES = 20


def _abandon(stage: Stage) -> Iterator[Finding]:
    yield failed(stage.run("abandon", [{}] * _CULPRITS))
    yield from stage.look_afterwards()


def _drop_wrappers(stage: Stage) -> Iterator[Finding]:
    yield failed(stage.run("drop_wrapper", [{}] * _CULPRITS))
    yield from stage.look_afterwards()


def _leave_transactions(stage: Stage) -> Iterator[Finding]:
    stage.run("leave_transaction", [{}] * LIMIT)
    tasks = stage.run("rows", [{}] * _WITNESSES)
    seen = sum(bool(task.value) for task in tasks)
    yield Finding(f"{seen} of {len(tasks)} next tasks see what was not committed", seen == 0)
    stage.run("write", [{}] * _WITNESSES)
    rows = int(stage.query("SELECT count(*) FROM written"))
    yield Finding(f"{rows} rows are there, of {_WITNESSES} that the next ones wrote", rows == _WITNESSES)
    left = stage.sessions("state LIKE 'idle in transaction%'")
    yield Finding(f"{left} transactions stay open", left == 0)
    yield from stage.look_afterwards(counts_connections=False)


def _leave_state(stage: Stage) -> Iterator[Finding]:
    stage.run("leave_state", [{"value": number} for number in range(LIMIT)])
    tasks = stage.run("see_state", [{}] * _WITNESSES)
    seen = Counter(name for task in tasks for name in task.value or ())
    text = ", ".join(f"{name} by {count}" for name, count in seen.items())
    yield Finding(f"of {len(tasks)} next tasks seen: {text or 'nothing'}", not seen)
    locks = int(stage.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    yield Finding(f"{locks} of {LIMIT} locks stay", locks == 0)
    yield from stage.look_afterwards(counts_connections=False)


def _fork(stage: Stage) -> Iterator[Finding]:
    stage.warm_up()
    child = stage.subject.ask("fork")
    if "error" in child:
        yield Finding(f"the child's query fails ({child['error']})", False)
    elif child["is_shared"]:
        yield Finding("the child uses a connection of its parent's", False)
    else:
        yield Finding("the child has a connection of its own")
    yield from stage.look_afterwards(counts_connections=False)


SCENARIOS = (
    Scenario(
        "abandoned",
        "Greenlets end without giving their connection back",
        f"{_CULPRITS} tasks of a Celery worker each have another greenlet run a query, which ends without "
        "`close_old_connections()` or the like.",
        f"No task fails, then or afterwards; {LIMIT} connections can be lent; never more than {LIMIT} connections.",
        _abandon,
        Setting(concurrency=50),
    ),
    Scenario(
        "dropped-wrapper",
        "Django's wrapper is dropped with its connection",
        f"{_CULPRITS} greenlets run a query and then `del connections['default']`, without closing it.",
        "The same as for abandoned ones.",
        _drop_wrappers,
    ),
    Scenario(
        "open-transaction",
        "Tasks end in the middle of a transaction",
        f"{LIMIT} greenlets switch autocommit off, write a row, and end. {_WITNESSES} others count the rows, and write "
        "one "
        "each.",
        "No other sees the rows, all that the others write is there, no transaction stays open, and all connections "
        "can "
        "be lent.",
        _leave_transactions,
    ),
    Scenario(
        "session-state",
        "Tasks leave settings, temporary tables and locks",
        f"{LIMIT} greenlets `SET search_path`, make a temporary table and take an advisory lock. {_WITNESSES} others "
        "look.",
        "The others see none of it, and no lock stays.",
        _leave_state,
    ),
    Scenario(
        "fork",
        "The process forks",
        f"The process forks when its pool has {LIMIT} idle connections, and the child runs a query.",
        "The child's query succeeds, over a socket that its parent did not have. Afterwards the parent's tasks "
        "succeed.",
        _fork,
    ),
)
