"""Handlers of Celery's signals: what the worker does, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import signals
from celery.utils.dispatch import Signal
from celery.worker import WorkController

from django_geventpool import patch_psycopg, pools, web_request
from django_geventpool.pool import holder, naming, time_limits
from django_geventpool.utils import end_task, give_back_all

from . import control, deadlines, outside_tasks, own_work, processes, revoking, steps, worker  # noqa: F401 (control registers the remote commands)
from . import task as labels
from .metrics import endpoint
from .readiness import readiness


def connect() -> None:
    """Connect the handlers, each once, and make the pools name tasks and requests."""
    web_request.connect()
    holder.describe = labels.describe_current_work
    holder.begin_request = own_work.begin_request
    holder.limit_wait = own_work.limit_wait
    time_limits.current = deadlines.current
    handlers: tuple[tuple[Signal, Callable[..., None]], ...] = (
        (signals.celeryd_init, on_worker_creation),
        (signals.worker_init, on_worker_init),
        (signals.celeryd_after_setup, on_worker_logging),
        (signals.worker_ready, on_worker_ready),
        (signals.worker_process_init, on_process_init),
        (signals.task_prerun, on_task_prerun),
        (signals.task_postrun, on_task_postrun),
        (signals.worker_process_shutdown, on_shutdown),
        (signals.worker_shutdown, on_shutdown),
    )
    for signal, handler in handlers:
        signal.connect(handler, dispatch_uid=f"{__name__}.{handler.__name__}")


def on_worker_creation(instance: WorkController, **_kwargs: Any) -> None:
    """Add the step that serves metrics, at the first signal of a worker program: its steps are yet to be made."""
    instance.app.steps["worker"].add(endpoint.PoolMetrics)


def on_worker_init(sender: WorkController, **_kwargs: Any) -> None:
    """Check the worker, wrap Celery's functions and start without connections, in the main process, before its pool."""
    worker.check()
    deadlines.read_worker(sender)
    if worker.is_prefork(sender):
        processes.expect_children()
    outside_tasks.install()
    if worker.shares_process(sender.pool_cls):  # type: ignore[attr-defined]
        revoking.install()
    sender.app.steps["worker"].add(steps.OwnWork)
    _start_clean()
    worker.freeze_gc()


def on_process_init(**_kwargs: Any) -> None:
    """Start without connections in a process that runs tasks: solo's, or a prefork child, which then listens."""
    endpoint.leave_to_parent()
    outside_tasks.install()  # A process that was not forked inherits nothing.
    _start_clean()
    processes.listen()


def _start_clean() -> None:
    # Connections that were opened until now (at import, by system checks) are not for tasks.
    give_back_all()
    pools.close_all()
    patch_psycopg()


def on_worker_logging(instance: WorkController, **_kwargs: Any) -> None:
    """Log which pools the worker has, now that its logging is set up."""
    worker.log_start(instance)


def on_worker_ready(**_kwargs: Any) -> None:
    """Record that the worker consumes tasks."""
    readiness.has_started = True


def on_task_prerun(task: Any, **_kwargs: Any) -> None:
    """Record a task's time limits, and label its greenlet: those that it starts are named after it for good."""
    # An eager task runs in its caller's time, and has none of its own.
    if task.request.is_eager:
        labels.forget()
    else:
        deadlines.begin(task)
        naming.mark(labels.begin(task))


def on_task_postrun(task: Any, **_kwargs: Any) -> None:
    """Give a task's connections back, in its own greenlet or thread, however it ended."""
    # An eager task runs in its caller's request or test, whose connection and transaction it shares.
    if not task.request.is_eager:
        try:
            end_task()
        finally:
            labels.forget()


def on_shutdown(**_kwargs: Any) -> None:
    """Store what is left, and close the pools, at the end of a worker or of one of its processes."""
    steps.finish()
    pools.close_all()
    processes.forget_children()
    endpoint.close()
