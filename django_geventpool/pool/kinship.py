"""Who waits for whom, among greenlets and threads: what frameworks know, and what can be seen in their frames."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from types import FrameType
from typing import Any

from . import naming
from .stack import variables

#: How many entries of a collection are looked at.
_ENTRIES = 1000


def ancestors(running: Any) -> Iterator[Any]:
    """Yield a greenlet or thread, and those that started it, as far as the framework knows."""
    yield running
    yield from naming.starters(running)


def parents_of(waiters: Iterable[Any], holders: Iterable[Any]) -> tuple[set[int], set[int]]:
    """Return which holders have started some of the waiters, or wait for them.

    :param waiters: greenlets or threads, as the holders are.
    :return: the ids of those holders, and of those waiters.
    """
    kin, waiters, holders = Kin(), list(waiters), list(holders)
    ids = {id(holder) for holder in holders}
    for waiter in waiters:
        for ancestor in ancestors(waiter):
            if id(ancestor) in ids:
                kin.add(ancestor, waiter)
                break
    # Looking at frames takes longer.
    if len(kin.parents) < len(ids) and (strangers := [waiter for waiter in waiters if _has_no_starter(waiter)]):
        kin.look_at_frames(strangers, holders)
    return kin.parents, kin.children


def _has_no_starter(running: Any) -> bool:
    return next(naming.starters(running), None) is None


class Kin:
    """Holders and waiters that belong together, by their ids."""

    def __init__(self) -> None:
        self.parents: set[int] = set()
        self.children: set[int] = set()

    def add(self, parent: Any, child: Any) -> None:
        """Record that a holder waits for a waiter."""
        self.parents.add(id(parent))
        self.children.add(id(child))

    def look_at_frames(self, waiters: list[Any], holders: list[Any]) -> None:
        """Find the holders that have a waiter's thread, or its future, in their frames.

        Python doesn't say who started a thread. But code that waits for one has it in a variable.
        """
        threads = sys._current_frames()  # noqa: SLF001
        at_hand = [(holder, [*_waited_for(innermost_frame(holder, threads))]) for holder in holders]
        if any(not things and id(holder) not in self.parents for holder, things in at_hand):
            return  # A holder that waits for nobody will go on: no need to look at the waiters, which may be many.
        self._match(at_hand, {id(waiter): waiter for waiter in waiters})
        unmatched = [waiter for waiter in waiters if id(waiter) not in self.children]
        if any(issubclass(type(thing), Future) for _, things in at_hand for thing in things):
            futures = ((_future(innermost_frame(waiter, threads)), waiter) for waiter in unmatched)
            self._match(at_hand, {id(future): waiter for future, waiter in futures if future is not None})

    def _match(self, at_hand: list[tuple[Any, list[Any]]], waiters: dict[int, Any]) -> None:
        """Record the waiters that holders have at hand.

        :param at_hand: the holders, each with what it may be waiting for.
        :param waiters: by the id of what stands for each.
        """
        for holder, things in at_hand:
            for thing in things:
                waiter = waiters.get(id(thing), waiters.get(_greenlet_id(thing)))
                if waiter is not None and waiter is not holder:
                    self.add(holder, waiter)


def innermost_frame(running: Any, threads: dict[int, FrameType]) -> FrameType | None:
    """Return the innermost frame of a thread, or of a greenlet that isn't running; None of one that has ended.

    :param threads: the innermost frames of all threads, by their idents.
    """
    if issubclass(type(running), threading.Thread):
        return threads.get(running.ident or 0)
    frame: FrameType | None = running.gr_frame
    return frame


def _greenlet_id(thing: Any) -> int:
    """Return the id of the greenlet that a patched thread runs in, as its ``ident`` is; 0 for all else."""
    if not issubclass(type(thing), threading.Thread):
        return 0
    try:
        return thing.ident or 0
    except (AssertionError, AttributeError):
        return 0  # The greenlet is yet to be made.


def _future(frame: FrameType | None) -> Any:
    """Return the future that an executor's thread works on, by its innermost frame; None if it works on none.

    Looking has a price: Python keeps an object for each frame that was looked at, for as long as the frame runs.
    """
    while frame is not None:
        if frame.f_globals.get("__name__") == "concurrent.futures.thread" and "self" in frame.f_code.co_varnames:
            return getattr(variables(frame).get("self"), "future", None)
        frame = frame.f_back
    return None


def _waited_for(frame: FrameType | None) -> Iterator[Any]:
    """Yield what stands for work in other threads or greenlets among the variables of a frame and its callers."""
    for value in _values(frame):
        if issubclass(type(value), (threading.Thread, Future)) or _is_greenlet(type(value)):
            yield value


def _is_greenlet(kind: type) -> bool:
    # Not by an attribute: a metaclass may do anything when asked for one.
    module = sys.modules.get("greenlet")
    return module is not None and issubclass(kind, module.greenlet)


def _values(frame: FrameType | None) -> Iterator[Any]:
    """Yield the variables of a frame and of those that called it, and what is in collections and executors there."""
    while frame is not None:
        for value in variables(frame).values():
            yield value
            kind = type(value)
            if issubclass(kind, Executor):
                value = getattr(value, "_threads", ())
            elif kind is dict:
                value = list(value.values())
            if type(value) in (list, tuple, set, frozenset):
                # A copy, as a thread may go on meanwhile.
                yield from tuple(value)[:_ENTRIES]
        frame = frame.f_back
