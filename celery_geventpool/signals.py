"""What the worker does, and when: handlers of Celery's signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import signals
from celery.utils.dispatch import Signal
from celery.worker import WorkController

from django_geventpool import patch_psycopg, pools
from django_geventpool.pool import holder
from django_geventpool.utils import give_back_all

from . import outside, worker
from .task import describe_current_task


def connect() -> None:
    """Connect the handlers, each once."""
    handlers: tuple[tuple[Signal, Callable[..., None]], ...] = (
        (signals.worker_init, on_worker_init),
        (signals.celeryd_after_setup, on_worker_logging),
        (signals.worker_process_init, on_process_init),
        (signals.task_postrun, on_task_postrun),
        (signals.worker_process_shutdown, on_shutdown),
        (signals.worker_shutdown, on_shutdown),
        *((signal, outside.on_result_stored) for signal in outside.SIGNALS),
    )
    for signal, handler in handlers:
        signal.connect(handler, dispatch_uid=f"{__name__}.{handler.__name__}")


def on_worker_init(**_kwargs: Any) -> None:
    """The main process of a worker, before its pool: the only such signal under gevent, eventlet and threads."""
    worker.check()
    outside.have_commands_give_back()
    _start_clean()


def on_process_init(**_kwargs: Any) -> None:
    """A process that runs tasks: prefork's children, and solo's only one."""
    _start_clean()


def _start_clean() -> None:
    # What was opened until now (at import, by system checks) was opened for another purpose.
    give_back_all()
    pools.close_all()
    patch_psycopg()
    holder.describe = describe_current_task


def on_worker_logging(instance: WorkController, **_kwargs: Any) -> None:
    """The worker's log is there to be written to."""
    worker.log_start(instance)


def on_task_postrun(task: Any, **_kwargs: Any) -> None:
    """The end of a task, in its own greenlet, however it ended: its connections go back."""
    # An eager task runs in its caller's request or test, whose connection and transaction it shares.
    if not task.request.is_eager:
        give_back_all()


def on_shutdown(**_kwargs: Any) -> None:
    """The end of a worker, or of one of its processes."""
    pools.close_all()
