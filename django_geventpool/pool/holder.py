"""Holders: the greenlets and threads that connections are lent to, and how the end of one is noticed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .. import green
from ..here import own
from . import naming
from .ends import End, end_of


def _no_label() -> object | None:
    return None


#: Returns who is asking for a connection: an object whose ``str`` names this run of the task, and whose ``name`` names
#: the task (for use by task); or None where there is none. Called in the holder's own greenlet or thread; set by
#: ``celery_geventpool``.
describe: Callable[[], object | None] = _no_label


def _never_urgent() -> bool:
    return False


#: Called when the running greenlet or thread asks for a connection; returns whether that goes before all other
#: requests, as it is for the process itself and not for a task or web request. Set by ``celery_geventpool``.
begin_request: Callable[[], bool] = _never_urgent


def _as_configured(timeout: float | None) -> float | None:
    return timeout


#: Returns how many seconds the running greenlet or thread may wait, None for as long as it takes, given
#: CONN_WAIT_TIMEOUT. Set by ``celery_geventpool``.
limit_wait: Callable[[float | None], float | None] = _as_configured

#: Where a greenlet or thread keeps its life.
_LIFE = "_geventpool_life"
#: Stands for the time since this process was forked: a child's greenlets have their lives from the parent.
_era = object()


class Holder:
    """A greenlet or thread, with what it holds.

    :param name: for messages.
    :param poll_end: returns whether the greenlet has ended, for the few whose end gives no sign; None for all others.
    :param arrange_call: makes the framework call a function when the running greenlet ends, where it can.
    :param starter_task: the name of the task that started the greenlet, for use by task; empty if there is none.
    """

    __slots__ = ("_arrange_call", "_end", "_has_ended", "name", "poll_end", "runner", "slots", "starter_task")

    def __init__(
        self,
        name: str,
        poll_end: Callable[[], bool] | None,
        arrange_call: Callable[[Callable[[], object]], object] | None = None,
        starter_task: str = "",
    ) -> None:
        self.name = name
        self.starter_task = starter_task
        self.poll_end = poll_end
        #: Refers weakly to the greenlet or thread; None for a holder that stands for neither.
        self.runner: Callable[[], Any] | None = None
        #: The slots that were lent to this holder and may be still, each with what tells its pool of the holder's end.
        self.slots: dict[Any, Callable[[], object]] = {}
        self._has_ended = False
        self._end: End | None = None
        self._arrange_call = arrange_call

    def end_with(self, life: object) -> None:
        """Count as ended when an object is gone that belongs to the greenlet or thread."""
        self._end = end_of(life, self.slots)

    @property
    def has_ended(self) -> bool:
        """Whether the end was noticed."""
        return self._has_ended or (self._end is not None and self._end.has_come)

    @property
    def is_gone(self) -> bool:
        """Whether the greenlet or thread has ended; one whose end gives no sign is asked."""
        return self.has_ended or (self.poll_end is not None and self.poll_end())

    def watch(self) -> None:
        """Watch for the end, from the first loan on. Called in the greenlet itself."""
        arrange, self._arrange_call = self._arrange_call, None
        if arrange is not None:
            arrange(self.record_end)

    def record_end(self) -> None:
        """Record that the greenlet or thread is gone, and make the pools look for what it still holds.

        Runs wherever the end is noticed: in the hub, a dying thread or a garbage collection. So it takes no lock.
        """
        self._has_ended = True
        for tell in list(self.slots.values()):
            tell()


class _Life:
    """An object that only a greenlet or thread keeps: when that ends, it goes, and the holder has ended."""

    __slots__ = ("__weakref__", "era", "holder")

    def __init__(self, holder: Holder) -> None:
        self.era = _era
        self.holder = holder
        holder.end_with(self)


def current() -> Holder:
    """Return the holder that stands for the running greenlet or thread."""
    here = own()
    life: _Life | None = getattr(here, _LIFE, None)
    # If it has ended, this is a late callback of a greenlet that counts as gone.
    if life is not None and life.era is _era and not life.holder.has_ended:
        return life.holder
    framework = green.active()
    runner = naming.runner(framework)
    holder = _make(framework, runner)
    holder.runner = weakref.ref(runner)
    green.drop_at_end(here, _LIFE)
    setattr(here, _LIFE, _Life(holder))
    return holder


def requests_with_slots() -> list[Any]:
    """Return the requests of the running greenlet or thread that have a slot."""
    life: _Life | None = getattr(own(), _LIFE, None)
    if life is None or life.era is not _era or not life.holder.slots:
        return []
    # Where a loan was interrupted, its slot has stayed among the holder's, and may be another's by now.
    requests = [slot.request for slot in list(life.holder.slots)]
    return [request for request in requests if request is not None and request.holder is life.holder]


def _make(framework: green.Framework, runner: Any) -> Holder:
    if framework == "threads":
        return Holder(naming.name(framework, runner), None)
    starter = naming.label_of_starter(runner)
    name, task = naming.name(framework, runner, starter), getattr(starter, "name", "")
    if framework == "gevent" and not green.is_raw_greenlet(runner):
        return Holder(name, None, starter_task=task)
    # The life goes with the last reference to the greenlet, which its spawner or the hub may well keep.
    arrange_call = green.call_at_end_of_greenthread if framework == "eventlet" else None
    return Holder(name, green.death_of_greenlet(), arrange_call, task)


def nobody() -> Holder:
    """Return a holder that stands for no greenlet or thread, and so never ends."""
    return Holder("several threads", None)


def forget_all() -> None:
    """Start without holders, in a forked child: those that it inherits are its parent's greenlets and threads."""
    global _era
    _era = object()
