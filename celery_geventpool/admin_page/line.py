"""The line to the workers: one thread and one connection to the broker, for all who look at the page."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery import _state as state

from django_geventpool.text import printable

#: How long the broker may take in addition to the workers' time (seconds).
PATIENCE = 4.0
#: The pause before a broker that refused is tried once more (seconds).
_PAUSE = 0.5
#: How long connecting may take, for transports that know it (seconds).
_CONNECT_TIMEOUT = 3.0

#: The workers' answers by their names; or why there are none.
Outcome = dict[str, Any] | Exception


@dataclass(frozen=True)
class _Question:
    command: str
    timeout: float
    destination: Sequence[str] | None
    arguments: dict[str, Any]
    answer: Callable[[Outcome], object]
    #: When nobody waits for the answer any more (monotonic seconds).
    until: float


class BrokerDown(Exception):
    """The broker can't be reached; the message says why."""


class Line:
    """Asks workers by remote commands, one question after the other; its thread starts with the first.

    :param find_app: returns the app whose workers they are.
    """

    def __init__(self, find_app: Callable[[], Celery]) -> None:
        self._find_app = find_app
        self._questions: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Only the thread uses these.
        self._connection: Any = None
        self._control: Any = None

    def ask(
        self,
        command: str,
        timeout: float,
        answer: Callable[[Outcome], object],
        *,
        destination: Sequence[str] | None = None,
        **arguments: Any,
    ) -> None:
        """Ask workers, and return at once; ``answer`` is called in the line's thread.

        A question that can't be asked while somebody may still wait for its answer isn't asked at all.

        :param timeout: how long the workers have, in seconds.
        """
        until = time.monotonic() + timeout + PATIENCE
        self._questions.put(_Question(command, timeout, destination, arguments, answer, until))
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="connection pools page", daemon=True)
                self._thread.start()

    def replies(self, command: str, timeout: float, *, destination: Sequence[str] | None, **arguments: Any) -> Outcome:
        """Ask workers, and return what they answer in time."""
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.ask(command, timeout, outcomes.put, destination=destination, **arguments)
        try:
            return outcomes.get(timeout=timeout + PATIENCE)
        except queue.Empty:
            return BrokerDown("it does not answer, but may still pass on what was asked")

    def _serve(self) -> None:
        while True:
            question = self._questions.get()
            if time.monotonic() > question.until:
                question.answer(BrokerDown("it does not answer"))
                continue
            try:
                outcome: Outcome = self._ask_again_if_lost(question)
            except Exception as error:  # noqa: BLE001  each transport has errors of its own
                self._hang_up()
                outcome = BrokerDown(_in_words(error))
            question.answer(outcome)

    def _ask_again_if_lost(self, question: _Question) -> dict[str, Any]:
        was_open = self._connection is not None
        try:
            return self._ask(question)
        except Exception:
            if not was_open:
                raise
        # It may be the kept connection only that is lost.
        self._hang_up()
        return self._ask(question)

    def _ask(self, question: _Question) -> dict[str, Any]:
        if self._connection is None or self._control is None:
            app = self._find_app()
            self._connection = app.connection_for_write(connect_timeout=_CONNECT_TIMEOUT)
            self._control = type(app.control)(app)
            # By itself, it sends on connections of the app's pool, which may be lost, too.
            self._control.mailbox.producer_pool = None
        # Kombu's own retries take longer than anybody looks at an empty page. Each host is tried at least once.
        self._connection.ensure_connection(max_retries=max(1, len(self._connection.alt)), interval_start=_PAUSE)
        replies = self._control.broadcast(
            question.command,
            destination=question.destination,
            arguments=question.arguments,
            reply=True,
            timeout=question.timeout,
            limit=None if question.destination is None else len(question.destination),
            connection=self._connection,
        )
        # Late answers to earlier questions, which kombu keeps for ever.
        self._control.mailbox.unclaimed.clear()
        return {str(worker): answer for reply in replies or () for worker, answer in reply.items()}

    def _hang_up(self) -> None:
        connection, self._connection, self._control = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):  # It is lost.
                connection.release()


_state: Any = state
#: The app of the thread that has loaded the admin; None if it had none.
_project_app: Celery | None = None


def remember_app() -> None:
    """Remember the current app of this thread, in which Django is set up: Celery knows none in threads of requests."""
    global _project_app
    current = _state.get_current_app()
    _project_app = current if current.set_as_current else None


def find_app() -> Celery:
    """Return the project's Celery app, in whatever thread."""
    if _project_app is not None:
        return _project_app
    # It may have been made later, in another thread. Celery's own, of the name "default", knows no broker.
    made = [app for app in _state._get_active_apps() if app.set_as_current]  # noqa: SLF001  there is no other way
    found: Celery = made[0] if len(made) == 1 else _state.get_current_app()
    return found


def _in_words(error: Exception) -> str:
    """Return what went wrong; not the message, as some have the broker's address and password in it."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, OSError) and reason.strerror:
            return printable(reason.strerror)
        reason = reason.__cause__ or reason.__context__
    return type(error).__name__
