"""The places where Celery runs code in a worker outside tasks, wrapped so that its connections are given back.

All code of a kind goes through one place, whatever is connected, registered or scheduled, and whenever.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from celery import bootsteps
from celery.app import trace
from celery.concurrency.base import BasePool
from celery.utils.dispatch import Signal
from celery.worker import pidbox
from celery.worker.consumer import Consumer
from kombu.asynchronous.timer import Entry

from .own_work import Scope, in_scope, release
from .places import Wrap, wrap_attribute
from .worker import shares_process

#: The methods of bootsteps that are called while a worker runs; the others are called while it is put together.
_STEP_METHODS = ("start", "stop", "close", "terminate", "shutdown", "register_with_event_loop")

#: What Celery's pool calls before and after a task, or instead of it.
_CALLBACKS = ("accept_callback", "callback", "error_callback", "timeout_callback")


def install() -> None:
    """Wrap the places in this process, which is a worker's; further calls change nothing."""
    for owner, name, wrap in _PLACES:
        wrap_attribute(owner, name, wrap)


def _send(send: Callable[..., Any]) -> Callable[..., Any]:
    def send_in_scope(signal: Signal, /, *args: Any, **kwargs: Any) -> Any:
        if not signal.receivers:
            return send(signal, *args, **kwargs)
        # Not the worker's own work, as a task, or what it has started, may send signals too.
        return Scope(is_own=False).run(send, signal, *args, **kwargs)

    return send_in_scope


def _send_postrun(send: Callable[..., Any]) -> Callable[..., Any]:
    def send_and_release(*args: Any, **kwargs: Any) -> Any:
        try:
            return send(*args, **kwargs)
        finally:
            if not kwargs["task"].request.is_eager:
                release()  # Receivers that were called after ours, which gave back for the task, may have taken more.

    return send_and_release


def _apply_steps(apply: Callable[..., Any]) -> Callable[..., Any]:
    def apply_in_scope(blueprint: bootsteps.Blueprint, /, *args: Any, **kwargs: Any) -> Any:
        result = Scope().run(apply, blueprint, *args, **kwargs)
        for step in blueprint.order:  # type: ignore[attr-defined]
            for name in _STEP_METHODS:
                method = getattr(step, name, None)
                if method is not None:
                    setattr(step, name, in_scope(method))
        return result

    return apply_in_scope


def _apply_async(apply_async: Callable[..., Any]) -> Callable[..., Any]:
    def apply_async_with_scopes(pool: BasePool, /, *args: Any, **options: Any) -> Any:
        # In greenlets and threads, a callback that waits keeps no other waiting.
        is_patient = shares_process(type(pool))
        for name in _CALLBACKS:
            callback = options.get(name)
            if callback is not None:
                # Four for each task, which `in_scope` would give names and documentation.
                options[name] = functools.partial(_call_back, callback, is_patient)
        return apply_async(pool, *args, **options)

    return apply_async_with_scopes


def _call_back(callback: Callable[..., Any], is_patient: bool, /, *args: Any, **kwargs: Any) -> Any:
    return Scope(is_patient=is_patient).run(callback, *args, **kwargs)


def _create_task_handler(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_in_scope(*args: Any, **kwargs: Any) -> Any:
        return in_scope(create(*args, **kwargs))

    return create_in_scope


def _on_message(on_message: Callable[..., Any]) -> Callable[..., Any]:
    on_message = in_scope(on_message)

    def on_message_apart(box: pidbox.Pidbox, *args: Any) -> None:
        if isinstance(box, pidbox.gPidbox):
            # A command that waits for a connection must not delay the next one, which may kill the tasks that hold the
            # connections.
            box.c.pool.spawn_n(on_message, box, *args)  # type: ignore[attr-defined]
        else:
            on_message(box, *args)

    return on_message_apart


def _end_of_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one turn of a loop, so that all connections taken in it are given back."""

    def run_and_release(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        finally:
            release()

    return run_and_release


_PLACES: tuple[tuple[type | ModuleType, str, Wrap], ...] = (
    (Signal, "send", _send),
    (Signal, "send_robust", _send),
    (trace, "send_postrun", _send_postrun),
    (bootsteps.Blueprint, "apply", _apply_steps),
    (Entry, "__call__", in_scope),
    (BasePool, "apply_async", _apply_async),
    (Consumer, "create_task_handler", _create_task_handler),
    (Consumer, "perform_pending_operations", _end_of_turn),
    (pidbox.Pidbox, "on_message", _on_message),
)
