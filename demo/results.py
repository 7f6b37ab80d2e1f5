"""The tasks that have ended, and their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from celery import Celery
from celery.result import AsyncResult
from kombu.exceptions import DecodeError

_FILE_PREFIX = "celery-task-meta-"


class Results:
    """Reads outcomes from the folder of Celery's filesystem result backend."""

    def __init__(self, app: Celery, folder: Path, task_ids: Iterable[str]) -> None:
        self._app = app
        self._folder = folder
        #: The ids of tasks that have not ended.
        self.pending = set(task_ids)
        self.succeeded: set[str] = set()
        #: Reasons by the id of the failed task.
        self.failed: dict[str, str] = {}

    @property
    def ended(self) -> int:
        """The number of tasks that have ended."""
        return len(self.succeeded) + len(self.failed)

    def reasons(self) -> list[tuple[str, int]]:
        """Return the reasons of failures and their numbers, the most frequent first."""
        return Counter(self.failed.values()).most_common()

    def collect(self) -> int:
        """Read the new results; return how many there were."""
        before = self.ended
        # Listing the folder once is cheaper than asking the backend for each pending task.
        names = {file.name.removeprefix(_FILE_PREFIX) for file in self._folder.iterdir()}
        for task_id in self.pending & names:
            self._take(AsyncResult(task_id, app=self._app))
        return self.ended - before

    def _take(self, result: AsyncResult[object]) -> None:
        try:
            state = result.state
        except DecodeError:
            return  # it is being written
        if state == "SUCCESS":
            self.succeeded.add(result.id)
        elif state == "FAILURE":
            self.failed[result.id] = _reason(result.result)
        else:
            return
        self.pending.remove(result.id)


def _reason(error: object) -> str:
    """Return the class of an error, and its message if it is the server's."""
    text = " ".join(str(error).split())
    _, fatal, server_says = text.rpartition("FATAL: ")
    if fatal:
        text = server_says.strip()
    return f"{type(error).__name__}: {text}"
