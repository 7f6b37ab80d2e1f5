"""Which framework makes this process green, and the few things that each framework does in its own way.

A framework counts as active when it has monkey-patched the ``socket`` module. That it can be imported says nothing:
gevent and eventlet are often both installed. Everything else in the package uses the standard library, whose locks,
threads and sockets the active framework replaces.
"""

from __future__ import annotations

import _thread
import functools
import importlib
import select
import socket
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any, Literal

Framework = Literal["gevent", "eventlet", "threads"]


#: A green framework that was found, by the class of its sockets, which monkey-patching has put in place.
_active: dict[type, Framework] = {}


def active() -> Framework:
    """Return the framework whose monkey-patching is in force, "threads" when there is none."""
    known = _active.get(socket.socket)
    if known is None:
        known = _look_for_patches()
        if known != "threads":
            _active[socket.socket] = known
    return known


def _look_for_patches() -> Framework:
    gevent_monkey = sys.modules.get("gevent.monkey")
    if gevent_monkey is not None and gevent_monkey.is_module_patched("socket"):
        return "gevent"
    eventlet_patcher = sys.modules.get("eventlet.patcher")
    if eventlet_patcher is not None and eventlet_patcher.is_monkey_patched("socket"):
        return "eventlet"
    return "threads"


def are_locks_green() -> bool:
    """Return whether the active framework has replaced locks and threads too; True where none is active."""
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
    """Return whether a file descriptor can be read, or is at its end, without waiting and without a switch."""
    poller = poll_type()()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


@functools.cache
def _native_ident() -> Callable[[], int]:
    ident: Callable[[], int] = original("_thread", "get_ident")
    return ident


def is_in_main_hub() -> bool:
    """Return whether this is the hub that all greenlets of the process share: greenlets started here run by themselves.

    A native thread beside the hub, such as one of ``gevent.threadpool``, has a hub of its own, which turns only while
    the thread's function waits.
    """
    framework = active()
    if framework == "gevent":
        return bool(_get_hub()().main_hub)
    if framework == "eventlet":
        return _native_ident()() == threading.main_thread().ident
    return True


@functools.cache
def _get_hub() -> Callable[[], Any]:
    from gevent import get_hub

    return get_hub


def waking_thread() -> int | None:
    """Return the only native thread that can wake a greenlet which waits here; None if any can.

    Locks of eventlet's, and of gevent's before its releases of 2026, wake nobody in the hub of another thread.
    """
    return None if active() == "threads" else _native_ident()()


def start_thread(function: Callable[..., object], *args: Any) -> None:
    """Run ``function`` in a new greenlet, or in a native daemon thread where a greenlet would not go on.

    Unlike ``threading.Thread.start`` this never waits, so that nothing can interrupt it half-way.
    """
    start = _thread.start_new_thread if is_in_main_hub() else original("_thread", "start_new_thread")
    start(function, args)


def may_wait() -> bool:
    """Return whether the current greenlet may wait: the hub, where signal handlers and callbacks run, may not."""
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


def drop_at_end(greenlet: Any, name: str) -> None:
    """Make a greenlet of gevent's drop one of its attributes when it ends; others keep theirs until they are gone."""
    call_at_end = getattr(greenlet, "rawlink", None)
    if call_at_end is not None:
        # In C, so that no exception out of a signal handler comes in between. The greenlet, with which it is called, is
        # the default.
        call_at_end(functools.partial(vars(greenlet).pop, name))


@functools.cache
def _greenlet_class() -> type[Any]:
    from gevent import Greenlet

    return Greenlet


def is_raw_greenlet(running: Any) -> bool:
    """Return whether a greenlet is one whose end gevent gives no sign of."""
    if isinstance(running, _greenlet_class()):
        return False
    return running.parent is not None or not is_in_main_hub()  # The main one ends with the process.


@functools.cache
def getcurrent() -> Callable[[], Any]:
    """Return the function that returns the running greenlet."""
    from greenlet import getcurrent

    return getcurrent


def current_greenlet() -> Any:
    """Return the running greenlet."""
    return getcurrent()()


def record_starters() -> None:
    """Make eventlet's greenlets record who started them, and with what function, as gevent's do.

    ``spawning_greenlet`` is a weak reference, as gevent's; ``spawned_function`` a name. Calling this more than once
    changes nothing. Greenlets that were started before have neither.
    """
    if active() != "eventlet":
        return
    from eventlet import greenthread

    if not hasattr(greenthread.GreenThread, "spawning_greenlet"):
        greenthread.GreenThread.spawning_greenlet = None
        _have_noted(greenthread.GreenThread, "__init__", lambda arguments, _result: arguments[0])
        _have_noted(greenthread, "_spawn_n", lambda _arguments, result: result[1])


def _have_noted(owner: Any, name: str, made_by: Callable[[tuple[Any, ...], Any], Any]) -> None:
    """Make a function of eventlet's record, in each greenlet that it makes, who started that and what it will run."""
    function = getattr(owner, name, None)
    if function is None:  # This release of eventlet lacks it.
        return

    @functools.wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        made = made_by(args, result)
        made.spawning_greenlet = weakref.ref(current_greenlet())
        # All of its callers have the function to be run in variables of these names.
        given = sys._getframe(1).f_locals  # noqa: SLF001
        run, arguments = given.get("func"), given.get("args")
        if arguments and (name_of_function(run) or "").startswith("eventlet."):
            run = arguments[0]  # This function of eventlet's runs the user's.
        made.spawned_function = name_of_function(run)
        return result

    setattr(owner, name, noting)


def name_of_function(function: Any) -> str | None:
    """Return the name of what a greenlet is to run; None if that is not known.

    Objects are told by their exact types: others may be proxies, and asking those may run any code.
    """
    if type(function) is types.FunctionType and function.__module__:
        return f"{function.__module__}.{function.__qualname__}"  # Nearly all are of this type.
    while type(function) is functools.partial:
        function = function.func
    if type(function) is types.MethodType:
        owner: Any = function.__self__
        if issubclass(type(owner), threading.Thread):
            return f"thread {owner.name}"
        function = function.__func__
    if function is None:
        return None
    named = function if type(function) in (types.FunctionType, types.BuiltinFunctionType) else type(function)
    return f"{named.__module__}.{named.__qualname__}" if named.__module__ else str(named.__qualname__)


def death_of_greenlet() -> Callable[[], bool]:
    """Return a function that returns whether the greenlet running now is dead."""
    from greenlet import getcurrent

    greenlet = weakref.ref(getcurrent())

    def is_dead() -> bool:
        current = greenlet()
        return current is None or current.dead

    return is_dead
