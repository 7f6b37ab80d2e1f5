"""Revoking tasks: they are all killed first, then their outcomes are stored.

Celery does both for one task after the other. When the revoked tasks hold all of the pool's connections, storing the
first one's outcome would wait for a connection that the next one holds.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery.concurrency.base import BasePool
from celery.worker import control, state
from celery.worker.consumer import Consumer
from celery.worker.request import Request

from .outcomes import clerk
from .places import wrap_attribute

logger = logging.getLogger("geventpool.worker")


def install() -> None:
    """Make a worker that runs tasks in its main process kill first and store later; further calls change nothing."""
    wrap_attribute(Request, "_announce_revoked", _announce_later)
    wrap_attribute(Request, "_announce_cancelled", _announce_later)
    wrap_attribute(Consumer, "on_unknown_task", _note_later)
    wrap_attribute(control, "_revoke", _kill_first)


def kill_apart(pool: BasePool) -> None:
    """Make an eventlet pool kill tasks without waiting for their ends, which may need a connection that others hold."""
    terminate_job = pool.terminate_job

    def kill(pid: int, signal: int | None) -> None:
        try:
            terminate_job(pid, signal)
        except Exception:
            logger.warning("A task that was to be killed ended with an error", exc_info=True)

    def terminate_apart(pid: int, signal: int | None = None) -> None:
        pool.spawn_n(kill, pid, signal)  # type: ignore[attr-defined]

    pool.terminate_job = terminate_apart  # type: ignore[method-assign]


def _announce_later(announce: Callable[..., Any]) -> Callable[..., Any]:
    def leave_to_clerk(request: Request, *args: Any, **kwargs: Any) -> None:
        # At once, so that nothing else finds the request, and announces it a second time.
        state.task_ready(request)
        what = f"What became of task {request.name!r}, id {request.id!r}, could not be stored"
        clerk().do(functools.partial(announce, request, *args, **kwargs), what)

    return leave_to_clerk


def _note_later(on_unknown_task: Callable[..., Any]) -> Callable[..., Any]:
    def leave_to_clerk(consumer: Consumer, body: Any, message: Any, exc: Exception) -> None:
        def note() -> None:
            try:
                raise exc  # Celery logs the error that is being handled.
            except type(exc):
                on_unknown_task(consumer, body, message, exc)

        clerk().do(note, f"That a task is unknown ({exc!r}) could not be stored")

    return leave_to_clerk


def _kill_first(revoke: Callable[..., Any]) -> Callable[..., Any]:
    def kill_and_revoke(
        panel_state: Any, task_ids: Iterable[str], terminate: bool = False, signal: Any = None, **kwargs: Any
    ) -> Any:
        ids = set(task_ids)
        state.revoked.update(ids)
        found = {task_id: request for task_id in ids if (request := state.requests.get(task_id)) is not None}
        running = {task_id for task_id, request in found.items() if request in state.active_requests}
        if terminate:
            for task_id in found.keys() - running:  # Each of them might begin meanwhile.
                found[task_id].terminate(panel_state.consumer.pool, signal=signal)
            if running:
                revoke(panel_state, running, terminate, signal, **kwargs)
            others = ids - running
        else:
            others = ids
        if others:
            # Newer versions of Celery ask the result backend for each task's state.
            call = functools.partial(revoke, panel_state, others, terminate, signal, **kwargs)
            clerk().do(call, f"That the tasks {sorted(others)!r} were revoked could not be stored")
        if terminate:
            return {"ok": f"terminate: {', '.join(found) or 'tasks unknown'}"}
        return ids

    return kill_and_revoke
