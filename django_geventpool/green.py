"""Which framework makes this process green, and the few things that it does in its own way.

A framework counts as active when it has monkey-patched the ``socket`` module. That it can be imported says nothing:
gevent and eventlet are often both installed. Everything else in the package uses the standard library, whose locks,
threads and sockets the active framework replaces.
"""

from __future__ import annotations

import _thread
import functools
import importlib
import select
import sys
import weakref
from collections.abc import Callable
from typing import Any, Literal

Framework = Literal["gevent", "eventlet", "threads"]


def active() -> Framework:
    """Return the framework whose monkey-patching is in force, "threads" when there is none."""
    gevent_monkey = sys.modules.get("gevent.monkey")
    if gevent_monkey is not None and gevent_monkey.is_module_patched("socket"):
        return "gevent"
    eventlet_patcher = sys.modules.get("eventlet.patcher")
    if eventlet_patcher is not None and eventlet_patcher.is_monkey_patched("socket"):
        return "eventlet"
    return "threads"


def are_locks_green() -> bool:
    """Tell whether the active framework has replaced locks and threads too, or is none."""
    framework = active()
    if framework == "gevent":
        from gevent.monkey import is_module_patched

        return bool(is_module_patched("threading"))
    if framework == "eventlet":
        from eventlet.patcher import is_monkey_patched

        return bool(is_monkey_patched("thread"))  # type: ignore[no-untyped-call]
    return True


def original(module: str, name: str) -> Any:
    """Return ``module.name`` as it was before any monkey-patching."""
    framework = active()
    if framework == "gevent":
        from gevent.monkey import get_original

        return get_original(module, name)
    if framework == "eventlet":
        from eventlet.patcher import original as original_module

        return getattr(original_module(module), name)  # type: ignore[no-untyped-call]
    return getattr(importlib.import_module(module), name)


def start_native_thread(function: Callable[[], object]) -> None:
    """Run ``function`` in a thread of the operating system, for calls that would block the hub.

    The function must not use locks, logging or anything else that may be green.
    """
    original("_thread", "start_new_thread")(function, ())


@functools.cache
def poll_type() -> Any:
    """Return ``select.poll`` as it was before any monkey-patching."""
    return original("select", "poll")


def is_readable(fd: int) -> bool:
    """Tell whether a file descriptor can be read, or is at its end, without waiting and without a switch."""
    poller = poll_type()()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def start_thread(function: Callable[..., object], *args: Any) -> None:
    """Run ``function`` in a new greenlet, or in a daemon thread where nothing is patched.

    Unlike ``threading.Thread.start`` this never waits, so that nothing can interrupt it half-way.
    """
    _thread.start_new_thread(function, args)


def may_wait() -> bool:
    """Tell whether the current greenlet may wait: the hub, where signal handlers and callbacks may run, may not."""
    framework = active()
    if framework == "gevent":
        from gevent import get_hub, getcurrent

        return getcurrent() is not get_hub()
    if framework == "eventlet":
        from eventlet.hubs import get_hub as get_eventlet_hub
        from greenlet import getcurrent as getcurrent_greenlet

        return getcurrent_greenlet() is not get_eventlet_hub().greenlet  # type: ignore[no-untyped-call]
    return True


def call_at_end_of_greenthread(function: Callable[[], object]) -> None:
    """Call ``function`` when the current GreenThread of eventlet ends; do nothing in any other greenlet."""
    from eventlet.greenthread import GreenThread, getcurrent

    current = getcurrent()
    if isinstance(current, GreenThread):
        current.link(lambda _greenthread: function())  # type: ignore[no-untyped-call]


def is_raw_greenlet() -> bool:
    """Tell whether the current greenlet is one whose end gevent gives no sign of."""
    from gevent import Greenlet, getcurrent

    current = getcurrent()
    return not isinstance(current, Greenlet) and current.parent is not None


def death_of_greenlet() -> Callable[[], bool]:
    """Return what tells whether the current greenlet is dead."""
    from greenlet import getcurrent

    greenlet = weakref.ref(getcurrent())

    def is_dead() -> bool:
        current = greenlet()
        return current is None or current.dead

    return is_dead
