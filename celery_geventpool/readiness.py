"""Whether a worker is ready: it has started, its servers answer, and tasks don't wait for connections too long.

A pool with all connections in use is no reason by itself: that is how a small pool works.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from celery.worker import state as worker_state

from . import operations, processes
from .text import seconds

#: How often a server is asked at the most, and how long it has to answer (seconds).
_INTERVAL, _PATIENCE = 5.0, 1.0
#: How long a failed attempt to connect counts if nobody has tried again (seconds).
_FAILURE_COUNTS = 15.0
#: A wait is long from here on, or from half of CONN_WAIT_TIMEOUT on if that is less (seconds).
LONG_WAIT = 5.0
#: For how long there must have been long waits each time somebody looked (seconds).
SUSTAINED = 30.0


@dataclass(frozen=True)
class Verdict:
    """Whether a worker is ready; if not, why."""

    reasons: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether it is."""
        return not self.reasons

    def __str__(self) -> str:
        return f"not ready: {'; '.join(self.reasons)}" if self.reasons else "ready"


class Readiness:
    """What is known of this worker from one question to the next."""

    def __init__(self) -> None:
        #: Whether the worker has begun to consume tasks.
        self.has_started = False
        #: By alias, when its server was asked last (monotonic seconds), and whether it answered.
        self._answers: dict[str, tuple[float, bool]] = {}
        #: By alias and process id, since when there were long waits whenever somebody looked (monotonic seconds).
        self._slow_since: dict[tuple[str, int], float] = {}

    def verdict(self) -> Verdict:
        """Return whether the worker is ready. Servers may be asked, which takes a second for each at the most."""
        return Verdict((*self._worker(), *self._databases()))

    def _worker(self) -> Iterator[str]:
        if is_stopping():
            yield "the worker is shutting down"
        elif not self.has_started:
            yield "the worker is starting"

    def _databases(self) -> Iterator[str]:
        answers, _silent = processes.ask_all("show")
        pools = [pool for answer in answers for pool in answer]
        now = time.monotonic()
        waits = operations.wait_timeouts()
        self._note_waits(pools, waits, now)
        for alias in waits:
            its_pools = [pool for pool in pools if pool["alias"] == alias]
            reason = self._reason(alias, its_pools, now)
            if reason is not None:
                yield f"{alias}: {reason}"

    def _reason(self, alias: str, pools: Iterable[Mapping[str, Any]], now: float) -> str | None:
        if not self._is_answering(alias, now):
            return "the server does not answer"
        for pool in pools:
            failed_ago = pool["connect_failed_ago"]
            if failed_ago is not None and failed_ago < _FAILURE_COUNTS:
                return f"connecting failed {seconds(failed_ago)} ago, and has not succeeded since"
            slow_for = now - self._slow_since.get((alias, pool["pid"]), now)
            if slow_for >= SUSTAINED:
                waited = seconds(pool["longest_wait"])
                return f"tasks wait too long for connections, now {waited}, and have for {seconds(slow_for)}"
        return None

    def _is_answering(self, alias: str, now: float) -> bool:
        asked, is_answering = self._answers.get(alias, (-_INTERVAL, False))
        if now - asked >= _INTERVAL:
            from django_geventpool.backends.pools import server_answers  # It imports the driver.

            # Where nobody knows the host but libpq, failed connects tell.
            is_answering = server_answers(alias, _PATIENCE) is not False
            self._answers[alias] = now, is_answering
        return is_answering

    def _note_waits(self, pools: Iterable[Mapping[str, Any]], timeouts: Mapping[str, float | None], now: float) -> None:
        slow = {
            (pool["alias"], pool["pid"])
            for pool in pools
            if pool["longest_wait"] >= min(LONG_WAIT, (timeouts.get(pool["alias"]) or 2 * LONG_WAIT) / 2)
        }
        self._slow_since = {key: self._slow_since.get(key, now) for key in slow}


def is_stopping() -> bool:
    """Return whether the worker takes no more tasks, as it is being stopped."""
    flags: tuple[Any, ...] = (worker_state.should_stop, worker_state.should_terminate)
    return any(flag is not None and flag is not False for flag in flags)  # An exit code, such as 0, is a yes.


#: That of this process.
readiness = Readiness()
