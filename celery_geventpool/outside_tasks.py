"""Where Celery runs code in a worker outside of tasks: there it is made to give back what that takes.

Each place is one through which all code of its kind goes, whatever is connected, registered or scheduled, and when.
"""

from __future__ import annotations

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
from .places import Wrap, replace
from .worker import shares_process

#: The methods of bootsteps that are called while a worker runs; the others are called while it is put together.
_STEP_METHODS = ("start", "stop", "close", "terminate", "shutdown", "register_with_event_loop")

#: What a pool calls before and after a task, or in its stead.
_CALLBACKS = ("accept_callback", "callback", "error_callback", "timeout_callback")


def install() -> None:
    """Have this process, a worker's, give back what is taken outside of tasks; once is enough."""
    for owner, name, wrap in _PLACES:
        replace(owner, name, wrap)


def _send(send: Callable[..., Any]) -> Callable[..., Any]:
    def send_in_scope(signal: Signal, /, *args: Any, **kwargs: Any) -> Any:
        if not signal.receivers:
            return send(signal, *args, **kwargs)
        # A task, or what it has started, may send signals too.
        return Scope(is_own=False).run(send, signal, *args, **kwargs)

    return send_in_scope


def _send_postrun(send: Callable[..., Any]) -> Callable[..., Any]:
    def send_and_release(*args: Any, **kwargs: Any) -> Any:
        try:
            return send(*args, **kwargs)
        finally:
            if not kwargs["task"].request.is_eager:
                release()  # What receivers took that came after ours, with which the task has given back.

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
        for name in _CALLBACKS:
            callback = options.get(name)
            if callback is not None:
                # In green pools and in threads they keep nobody waiting.
                options[name] = in_scope(callback, is_patient=shares_process(type(pool)))
        return apply_async(pool, *args, **options)

    return apply_async_with_scopes


def _create_task_handler(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_in_scope(*args: Any, **kwargs: Any) -> Any:
        return in_scope(create(*args, **kwargs))

    return create_in_scope


def _on_message(on_message: Callable[..., Any]) -> Callable[..., Any]:
    on_message = in_scope(on_message)

    def on_message_apart(box: pidbox.Pidbox, *args: Any) -> None:
        if isinstance(box, pidbox.gPidbox):
            # One that waits for a connection must not keep the next from being heard: it may be the one that kills what
            # holds the connections.
            box.c.pool.spawn_n(on_message, box, *args)  # type: ignore[attr-defined]
        else:
            on_message(box, *args)

    return on_message_apart


def _end_of_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give back what this turn of a loop has taken, whoever was called in it."""

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
