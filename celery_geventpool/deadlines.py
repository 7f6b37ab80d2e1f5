"""The time limits of the task that runs in a greenlet, thread or process, as its message and its worker say."""

from __future__ import annotations

import time
from typing import Any

from celery import Task, _state
from celery.worker import WorkController

from django_geventpool.here import own
from django_geventpool.pool.time_limits import TimeLimits

from .worker import has_time_limits

#: Where a greenlet or thread keeps the limits of its task.
_LIMITS = "_geventpool_limits"

#: The worker's own limits for tasks that have none, in seconds: the soft one and the hard one. Prefork's children
#: inherit them, as nothing else tells them of ``--time-limit``.
_defaults: tuple[float | None, float | None] = (None, None)
#: Whether limits count for waiting in this worker's pool.
_limit_waits = True


def read_worker(worker: WorkController) -> None:
    """Record the limits that a worker gives to tasks without any, and whether its pool has limits."""
    global _defaults, _limit_waits
    _defaults = worker.soft_time_limit, worker.time_limit  # type: ignore[attr-defined]
    _limit_waits = has_time_limits(worker)


def begin(task: Task[..., Any]) -> None:
    """Record the time limits of a task that begins just now: its message's, its own, or else the worker's.

    Celery has begun to count a moment before; prefork does so a moment later, when it hears of the beginning.
    """
    own_hard, own_soft = task.request.timelimit or (None, None)
    soft = own_soft or task.soft_time_limit or _defaults[0]
    hard = own_hard or task.time_limit or _defaults[1]
    has_any = soft or hard
    limits = TimeLimits(time.monotonic(), soft, hard, limits_waits=_limit_waits) if has_any else None
    setattr(own(), _LIMITS, limits)


def current() -> TimeLimits | None:
    """Return the limits of the task that runs in this greenlet or thread; None without any, and outside tasks."""
    limits: TimeLimits | None = getattr(own(), _LIMITS, None)
    # They are there until the next task begins.
    return limits if limits is None or _state.get_current_task() is not None else None
