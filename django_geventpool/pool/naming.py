"""Names of greenlets and threads: the function that they run, and the task that started them."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import green

#: Where a greenlet or thread keeps the label of the task that it runs, for those that it starts.
_LABEL = "_geventpool_label"

#: How many generations of starters to look at.
GENERATIONS = 50

#: What differs between runs of the same code: ids, addresses, and numbers of threads and requests.
_ID = re.compile(r"\[[^\]]*\]| 0x[0-9a-f]+")
_NUMBER = re.compile(r"\d+")


def runner(framework: green.Framework) -> Any:
    """Return the running greenlet, or the thread where nothing is patched."""
    # current_thread() in a greenlet would make and register a dummy thread.
    return threading.current_thread() if framework == "threads" else green.getcurrent()()


def mark(label: object | None) -> None:
    """Label the running greenlet or thread, and those that it starts, with what it works on."""
    setattr(runner(green.active()), _LABEL, label)


def name(framework: green.Framework, running: Any, starter: object | None = None) -> str:
    """Return the name of the running greenlet or thread, which is what ``runner`` returns.

    :param starter: the label of the task that started it, see ``label_of_starter``.
    """
    if framework == "threads":
        return f"thread {running.name}"
    about = _function(running) or _name_of_outermost_frame(framework)
    by = _name_of_starter(running) if starter is None else str(starter)
    if by is not None:
        about = f"{about}, started by {by}" if about else f"started by {by}"
    return f"greenlet {id(running):#x} ({about})" if about else f"greenlet {id(running):#x}"


def kind(who: str) -> str:
    """Return what a holder's name has in common with those of other runs of the same code."""
    return _ID.sub("", who)


def kind_key(who: str) -> str:
    """Return a key that is the same for all holders that warnings need not tell apart."""
    shown = kind(who)
    # A number in the name of a task is part of it.
    return shown if shown.startswith("task ") else _NUMBER.sub("", shown)


def starters(running: Any) -> Iterator[Any]:
    """Yield the greenlet that started this one, the one that started that, and so on, as far as they live."""
    for _ in range(GENERATIONS):
        running = starter_of(running)
        if running is None:
            return
        yield running


def starter_of(running: Any) -> Any:
    """Return the greenlet that started this one; None if it is gone, or not known."""
    # Set by gevent, and for eventlet by ``green.record_starters``.
    reference: Callable[[], Any] | None = getattr(running, "spawning_greenlet", None)
    return None if reference is None else reference()


def label_of_starter(running: Any) -> object | None:
    """Return the label of the task that started this greenlet, itself or through others; None if there is none."""
    starter = starter_of(running)
    generations = 0
    while starter is not None and generations < GENERATIONS:
        label: object | None = getattr(starter, _LABEL, None)
        if label is not None:
            return label
        starter = starter_of(starter)
        generations += 1
    return None


def _name_of_starter(running: Any) -> str | None:
    """Return the name of the greenlet that started this one, where no task did; None if there is nothing to say."""
    first = starter_of(running)
    # That the main greenlet or a hub is the starter says nothing.
    if first is None or first.parent is None or (function := _function(first)) is None:
        return None
    return f"greenlet {id(first):#x} ({function})"


def _function(running: Any) -> str | None:
    """Return the name of the function that a greenlet was started with; None if it is not known."""
    if running.parent is None:
        return "main"
    run = getattr(running, "_run", None)  # gevent's have it until they end.
    return green.name_of_function(run) if run is not None else getattr(running, "spawned_function", None)


def _name_of_outermost_frame(framework: green.Framework) -> str | None:
    """Return the name of the running greenlet's outermost function, for gevent's raw greenlets, which have no other."""
    if framework != "gevent":
        return None
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}"
