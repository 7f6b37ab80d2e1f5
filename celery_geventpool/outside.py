"""What a worker does with the database outside of tasks, in greenlets and threads that live as long as it does.

A result backend in the database stores there what becomes of tasks that were revoked, timed out, were unknown, or
whose process died; remote control asks it about tasks. Nothing in Celery gives those connections back.
"""

from __future__ import annotations

from typing import Any

from celery import _state, signals
from celery.worker.control import Panel

from django_geventpool.utils import close_connection, give_back_all

#: Sent after a result was stored, by whoever stored it; some also from within tasks.
SIGNALS = (signals.task_revoked, signals.task_unknown, signals.task_failure, signals.task_retry)


def on_result_stored(**_kwargs: Any) -> None:
    """A result may have been stored: outside of a task, the connection goes back."""
    if _state.get_current_task() is None:
        give_back_all()


def have_commands_give_back() -> None:
    """Have each remote control command give back what it takes; calling it more than once changes nothing."""
    for name, command in Panel.data.items():
        if not isinstance(command, _GivingBack):
            Panel.data[name] = _GivingBack(command)


class _GivingBack:
    """A command that gives its connections back at its end."""

    def __init__(self, command: Any) -> None:
        self._command = command
        self.__doc__ = command.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with close_connection():
            return self._command(*args, **kwargs)
