"""Asks all workers once for all who look at the page, and remembers what they said for the last minutes."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from .. import operations
from .history import History
from .line import PATIENCE, Line, Outcome, find_app
from .numbers import PoolNumbers, Reply, read
from .trouble import trouble

#: How long workers have for their answers (seconds).
REPLY_TIMEOUT = 1.0
#: For how long the same answers are shown to all who ask (seconds). A page asks every two seconds, of which the answers
#: take one: if the other one were in here, it would be given its own last numbers again.
_CACHED = 0.8
#: For how long a worker that gives no answers is still shown (seconds).
_REMEMBERED = 60.0
#: What this process is called on the page.
WEB_PROCESS = "this web process"
_OPTIONS = [operations.HOLDERS, operations.BUCKETS]


class Ask(Protocol):
    """Asks all workers; ``Line.ask``."""

    def __call__(  # noqa: D102
        self, command: str, timeout: float, answer: Callable[[Outcome], object], **arguments: Any
    ) -> None: ...


@dataclass(frozen=True)
class _Seen:
    """What a worker has said last."""

    #: When it was asked (monotonic seconds).
    when: float
    reply: Reply


class Collector:
    """What is known of all pools, for all who look.

    :param ask: asks all workers.
    :param show: returns the pools of this process, as the workers' answers have them.
    """

    def __init__(
        self, ask: Ask, show: Callable[[], list[dict[str, Any]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._show = show
        self._clock = clock
        self._condition = threading.Condition()
        #: When the question was asked that has no answers yet (monotonic seconds); None if there is none.
        self._asking_since: float | None = None
        #: When the last one was asked that has them, and when they were there.
        self._asked = self._answered = float("-inf")
        #: When something was changed: what was asked before is past.
        self._changed = float("-inf")
        #: Why that question could not be asked.
        self._failure: Exception | None = None
        self._seen: dict[str, _Seen] = {}
        self._own = _Seen(0.0, Reply((), ()))
        self._history = History()

    def look(self) -> None:
        """Have the workers asked unless they were just now, and wait for their answers, for a few seconds at most."""
        with self._condition:
            # A broker that lets one question wait lets nobody wait for the next.
            begun = self._clock() if self._asking_since is None else self._asking_since
            until = begun + 2 * REPLY_TIMEOUT + PATIENCE
            while not self._is_fresh():
                if self._asking_since is None:
                    self._begin()
                remaining = until - self._clock()
                if remaining <= 0:
                    break
                self._condition.wait(remaining)

    def expire(self) -> None:
        """Show nobody what was asked before now without asking again, as something was changed."""
        with self._condition:
            self._changed = self._clock()

    def workers(self) -> list[str]:
        """Return the names of the workers that have answered within the last minute."""
        with self._condition:
            return [worker for worker, _ in self._remembered()]

    def aliases(self) -> set[str]:
        """Return the aliases of their pools."""
        with self._condition:
            return {pool.alias for _, seen in self._remembered() for pool in seen.reply.pools}

    def picture(self) -> dict[str, Any]:
        """Return what the page shows."""
        with self._condition:
            now = self._clock()
            workers = self._remembered()
            everybody = [*((seen, seen.when < self._asked) for _, seen in workers), (self._own, False)]
            return {
                "age": _rounded(now - self._asked) if self._asked > 0 else None,
                "error": self._error(now, is_anybody_there=bool(workers)),
                "pools": [
                    self._pool(pool, seen, is_late, now) for seen, is_late in everybody for pool in seen.reply.pools
                ],
                "notes": [note for seen, _ in everybody for note in seen.reply.notes],
            }

    # With the lock held

    def _is_fresh(self) -> bool:
        # The second starts when the answers are there: they come when the workers' time is over.
        return self._asked >= self._changed and self._clock() - self._answered < _CACHED

    def _begin(self) -> None:
        asked = self._clock()
        self._ask("pools", REPLY_TIMEOUT, lambda outcome: self._note(outcome, asked), options=_OPTIONS)
        self._asking_since = asked

    def _remembered(self) -> list[tuple[str, _Seen]]:
        now = self._clock()
        return sorted((worker, seen) for worker, seen in self._seen.items() if now - seen.when < _REMEMBERED)

    def _error(self, now: float, *, is_anybody_there: bool) -> dict[str, str] | None:
        failure: object = self._failure
        if self._asking_since is not None and now - self._asking_since > REPLY_TIMEOUT + PATIENCE:
            failure = "it does not answer"
        if failure is not None:
            return {"code": "broker_down", "message": f"The broker can't be reached: {failure}."}
        if not is_anybody_there:
            return {
                "code": "no_workers",
                "message": f"No worker has answered within {REPLY_TIMEOUT:g} s. Does one run on this broker?",
            }
        return None

    def _pool(self, pool: PoolNumbers, seen: _Seen, is_late: bool, now: float) -> dict[str, Any]:
        lately = self._history.lately(pool, now)
        return {
            "key": pool.key,
            "worker": pool.worker,
            "kind": pool.kind,
            "pid": pool.pid,
            "alias": pool.alias,
            "limit": pool.limit,
            "in_use": pool.in_use,
            "idle": pool.idle,
            "waiting": pool.waiting,
            "wait_p50": lately.wait_p50,
            "wait_p95": lately.wait_p95,
            "timeouts": pool.timeouts,
            "is_late": is_late,
            "age": _rounded(now - seen.when),
            "fleet": pool.fleet,
            "holders": [asdict(holder) for holder in pool.holders],
            "holders_total": pool.holders_total,
            "trouble": list(trouble(pool, lately)),
            "history": self._history.drawn(pool.key, now),
        }

    # In the line's thread

    def _note(self, outcome: Outcome, asked: float) -> None:
        """Take the answers to a question, and wake those who wait for them."""
        own = Reply((), ())
        with contextlib.suppress(Exception):  # The workers' pools matter more.
            own = read(WEB_PROCESS, {"pools": self._show()}, "web")
        replies = {}
        try:
            if not isinstance(outcome, Exception):
                replies = {worker: read(worker, answer) for worker, answer in outcome.items()}
        except Exception as error:  # noqa: BLE001  those who wait are to hear of it
            outcome = error
        with self._condition:
            self._failure = outcome if isinstance(outcome, Exception) else None
            self._own = _Seen(asked, own)
            self._seen.update({worker: _Seen(asked, reply) for worker, reply in replies.items()})
            self._seen = dict(self._remembered())
            self._history.add((pool for reply in (*replies.values(), own) for pool in reply.pools if pool.pid), asked)
            self._asked, self._answered, self._asking_since = asked, self._clock(), None
            self._condition.notify_all()


def _rounded(seconds: float) -> float:
    return round(max(0.0, seconds), 2)


#: By process id: a forked child has no thread of its parent's.
_of_processes: dict[int, tuple[Collector, Line]] = {}


def collector_and_line() -> tuple[Collector, Line]:
    """Return this process's collector, and its line to the workers."""
    pid = os.getpid()
    if pid not in _of_processes:
        line = Line(find_app)
        # Of two that are made at the same time, one counts; neither has a thread yet.
        _of_processes.setdefault(pid, (Collector(line.ask, _show), line))
    return _of_processes[pid]


def _show() -> list[dict[str, Any]]:
    return operations.show(_OPTIONS)
