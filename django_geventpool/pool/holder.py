"""Holders: the greenlets and threads that connections are lent to, and how the end of one is noticed."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import green

if TYPE_CHECKING:
    from .slot import Slot


def _nobody_knows() -> object | None:
    return None


#: Says who is asking for a connection: an object whose ``str`` names the task, or None where there
#: is none. Called in the holder's own greenlet or thread; set by ``celery_geventpool``.
describe: Callable[[], object | None] = _nobody_knows


def _nobody_hurries() -> bool:
    return False


#: Says whether the running greenlet or thread works for the process itself, and not for one of its tasks or requests:
#: then its requests go before all others. Set by ``celery_geventpool``.
is_urgent: Callable[[], bool] = _nobody_hurries

#: By class, as locals made before monkey-patching would be shared by all greenlets.
_locals: dict[type, Any] = {}


class Holder:
    """A greenlet or thread, with what it holds.

    :param name: for messages.
    :param is_dead: tells of the few whose end comes with no sign that it has come; None for all others.
    :param arrange_call: has the framework call a function when the running greenlet ends, where it can.
    """

    __slots__ = ("_arrange_call", "_has_ended", "_life", "held", "is_dead", "name")

    def __init__(
        self,
        name: str,
        is_dead: Callable[[], bool] | None,
        arrange_call: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        self.name = name
        self.is_dead = is_dead
        #: Each slot that was lent to this holder and may be so still, with what tells its pool of the end.
        self.held: dict[Slot, Callable[[], object]] = {}
        self._has_ended = False
        self._life: weakref.ref[_Life] | None = None
        self._arrange_call = arrange_call

    def live_with(self, life: _Life) -> None:
        """Count as gone when an object is, which belongs to the greenlet or thread."""
        self._life = weakref.ref(life)

    @property
    def has_ended(self) -> bool:
        """Whether the end has come with a sign."""
        return self._has_ended or (self._life is not None and self._life() is None)

    @property
    def is_gone(self) -> bool:
        """Whether the greenlet or thread is no more, as far as can be told now."""
        return self.has_ended or (self.is_dead is not None and self.is_dead())

    def watch(self) -> None:
        """Have the end noticed, from the first time on that something is lent. Called in the greenlet itself."""
        arrange, self._arrange_call = self._arrange_call, None
        if arrange is not None:
            arrange(self.end)

    def end(self) -> None:
        """Note that the greenlet or thread is gone, and have the pools look for what it still holds.

        Runs wherever the end is noticed: in the hub, in a dying thread, in the middle of a garbage collection. So
        it takes no lock.
        """
        self._has_ended = True
        for tell in list(self.held.values()):
            tell()


class _Life:
    """Dies with the locals of its greenlet or thread."""

    __slots__ = ("__weakref__", "holder")

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        holder.live_with(self)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        holder: Holder | None = getattr(self, "holder", None)  # Somebody may have been interrupted in making it.
        # At the end of the interpreter there may not be much left of it. If this is interrupted, nothing is lost but
        # time: the pools look now and then whether their holders are gone.
        if holder is not None and not is_finalizing():
            holder.end()


def current() -> Holder:
    """Return the holder that stands for the running greenlet or thread."""
    local = _locals.get(threading.local)
    if local is None:
        local = _locals.setdefault(threading.local, threading.local())  # Lets one of two threads win.
    try:
        holder: Holder = local.life.holder
    except AttributeError:
        pass
    else:
        if not holder.has_ended:  # Else this is a late callback of a greenlet that counts as gone.
            return holder
    holder = _make(green.active())
    local.life = _Life(holder)
    return holder


def _make(framework: green.Framework) -> Holder:
    name = _name(framework)
    if framework == "threads" or (framework == "gevent" and not green.is_raw_greenlet()):
        return Holder(name, None)
    # The locals go with the last reference to the greenlet, which its spawner or the hub may well keep.
    arrange_call = green.call_at_end_of_greenthread if framework == "eventlet" else None
    return Holder(name, green.death_of_greenlet(), arrange_call)


def _name(framework: green.Framework) -> str:
    # current_thread() in a greenlet would make and register a dummy thread.
    if framework == "threads":
        return f"thread {threading.current_thread().name}"
    return f"greenlet {threading.get_ident():#x}"


def nobody() -> Holder:
    """Return a holder that stands for no greenlet or thread, and so never ends."""
    return Holder("several threads", None)


def forget_all() -> None:
    """Start without holders, as a forked child must: those that it inherits stand for its parent's."""
    _locals.clear()
