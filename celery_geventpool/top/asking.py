"""Asks the workers from a thread of its own, so that a broker that doesn't answer can be given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
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
    """Asks workers by a remote command.

    :param app: whose workers they are.
    :param command: the command; by default the one for the numbers of their pools.
    :param destination: the names of the workers that are asked, None for all.
    """

    def __init__(
        self,
        app: Celery,
        command: str = "pools",
        destination: Sequence[str] | None = None,
    ) -> None:
        self._app = app
        self._command = command
        self._destination = destination
        self._questions: queue.SimpleQueue[tuple[float, dict[str, Any]]] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # One thread for all questions: with some transports, a connection can't be used from another thread.
        threading.Thread(target=self._serve_questions, name="asker", daemon=True).start()

    def ask(self, timeout: float, now: float, *, tasks: bool = False) -> dict[str, Sample]:
        """Return the pools' numbers that come in time, by worker.

        :param now: when the question is asked (monotonic seconds); for the rest see ``replies``.
        :param tasks: whether to ask for the use by task, too.
        """
        answers = self.replies(timeout, options=["buckets", "tasks"] if tasks else ["buckets"])
        return {worker: Sample(worker, now, _cleaned(answer)) for worker, answer in answers.items()}

    def replies(self, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Return the answers that come in time, by worker.

        :param timeout: how long the workers have, in seconds.
        :param arguments: of the command.
        :raises CeleryCommandException: when the broker can't be reached; the asker can't be used again then.
        """
        self._questions.put((timeout, arguments))
        try:
            outcome = self._outcomes.get(timeout=timeout + PATIENCE)
        except queue.Empty:
            raise _unreachable(f"it did not answer within {PATIENCE:g} s") from None
        if isinstance(outcome, (OSError, OperationalError)):
            raise _unreachable(outcome) from outcome
        if isinstance(outcome, Exception):
            raise outcome
        return {printable(worker): answer for reply in outcome for worker, answer in reply.items()}

    def _serve_questions(self) -> None:
        while True:
            try:
                outcome: Any = self._broadcast(*self._questions.get())
            except Exception as error:  # noqa: BLE001  raised again in the thread that asked
                outcome = error
            self._outcomes.put(outcome)

    def _broadcast(self, timeout: float, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        with self._app.connection_or_acquire() as connection:
            # Kombu's own retries take longer than anybody looks at an empty screen. Each host is tried at least once.
            connection.ensure_connection(max_retries=max(1, len(connection.alt)), interval_start=_PAUSE)
            replies = self._app.control.broadcast(
                self._command,
                destination=self._destination,
                arguments=arguments,
                reply=True,
                timeout=timeout,
                # Else it waits until the time is over.
                limit=None if self._destination is None else len(self._destination),
                connection=connection,
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
