"""Labels by which the pool names the task or request of a greenlet or thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery import Task, _state

from django_geventpool.here import own
from django_geventpool.text import printable
from django_geventpool.web_request import describe_current_request

#: Where a greenlet or thread keeps the label of its task.
_LABEL = "_geventpool_task"


@dataclass(frozen=True)
class TaskLabel:
    """Names one run of a task."""

    name: str
    id: str | None

    def __str__(self) -> str:
        # Whoever sends a task chooses its id.
        return f"task {printable(str(self.name))}[{printable(str(self.id))}]"


def begin(task: Task[..., Any]) -> TaskLabel:
    """Return the label of a task that begins in this greenlet or thread, and keep it until ``forget``."""
    label = TaskLabel(task.name, task.request.id)
    setattr(own(), _LABEL, label)
    return label


def forget() -> None:
    """Forget the label that is kept: its task has ended, or applies another one, which has a label of its own."""
    setattr(own(), _LABEL, None)


def describe_current_task() -> TaskLabel | None:
    """Return the label of the task that runs in this greenlet or thread; None outside tasks."""
    label: TaskLabel | None = getattr(own(), _LABEL, None)
    if label is not None:
        # Each checkout asks. If an interruption has kept the label too long, there is no task.
        return None if _state.get_current_task() is None else label
    # When tasks call each other as functions, this is the one that the worker runs.
    task: Task[..., Any] | None = _state.get_current_worker_task()
    return None if task is None else TaskLabel(task.name, task.request.id)


def describe_current_work() -> object | None:
    """Return the label of the task or, in a web process, of the request; None outside both."""
    return describe_current_task() or describe_current_request()
