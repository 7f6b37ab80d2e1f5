"""Asks the workers from a thread of its own, so that a broker that doesn't answer can be given up."""

from __future__ import annotations

import queue
import threading
from typing import Any

from celery import Celery
from celery.exceptions import CeleryCommandException
from celery.platforms import EX_UNAVAILABLE
from kombu.exceptions import OperationalError

from django_geventpool.text import printable, show

from .samples import Sample

#: How long the broker may take in addition to the workers' time (seconds).
PATIENCE = 4.0
#: The pause before a broker that refused is tried once more (seconds).
_PAUSE = 0.5


class Asker:
    """Asks all workers for the numbers of their pools.

    :param app: whose workers they are.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._questions: queue.SimpleQueue[tuple[float, list[str]]] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # One thread for all questions: with some transports, a connection can't be used from another thread.
        threading.Thread(target=self._serve_questions, name="asker", daemon=True).start()

    def ask(self, timeout: float, now: float, *, tasks: bool = False) -> dict[str, Sample]:
        """Return the answers that come in time, by worker.

        :param timeout: how long the workers have, in seconds.
        :param now: when the question is asked (monotonic seconds).
        :param tasks: whether to ask for the use by task, too.
        :raises CeleryCommandException: when the broker can't be reached; the asker can't be used again then.
        """
        self._questions.put((timeout, ["buckets", "tasks"] if tasks else ["buckets"]))
        try:
            outcome = self._outcomes.get(timeout=timeout + PATIENCE)
        except queue.Empty:
            raise _unreachable(f"it did not answer within {PATIENCE:g} s") from None
        if isinstance(outcome, (OSError, OperationalError)):
            raise _unreachable(outcome) from outcome
        if isinstance(outcome, Exception):
            raise outcome
        return {
            printable(worker): Sample(printable(worker), now, _cleaned(answer))
            for reply in outcome
            for worker, answer in reply.items()
        }

    def _serve_questions(self) -> None:
        while True:
            try:
                outcome: Any = self._broadcast(*self._questions.get())
            except Exception as error:  # noqa: BLE001  raised again in the thread that asked
                outcome = error
            self._outcomes.put(outcome)

    def _broadcast(self, timeout: float, options: list[str]) -> list[dict[str, Any]]:
        with self._app.connection_or_acquire() as connection:
            # Kombu's own retries take longer than anybody looks at an empty screen. Each host is tried at least once.
            connection.ensure_connection(max_retries=max(1, len(connection.alt)), interval_start=_PAUSE)
            replies = self._app.control.broadcast(
                "pools", arguments={"options": options}, reply=True, timeout=timeout, connection=connection
            )
        return list(replies or ())


def _unreachable(why: object) -> CeleryCommandException:
    return CeleryCommandException(f"The broker can't be reached: {why}", EX_UNAVAILABLE)


def _cleaned(answer: Any) -> dict[str, Any]:
    """Return an answer whose texts are safe to print on a terminal."""
    is_answer = isinstance(answer, dict) and ("error" in answer or answer.keys() >= {"pools", "unused", "tasks"})
    return _printable(answer) if is_answer else {"error": show(answer)}


def _printable(part: Any) -> Any:
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, list):
        return [_printable(each) for each in part]
    if isinstance(part, dict):
        return {_printable(key): _printable(value) for key, value in part.items()}
    return part
