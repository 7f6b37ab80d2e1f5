"""Whether this is still the process that made something: forked children leave alone what is their parent's.

A child learns from its memory that it is one: the system gives it a page of zeros where its parent has a number. So it
knows from its first step on, before the fork hooks of other packages run, and also if it was forked in C, where no hook
of Python's runs (uWSGI). Where the system can't do that, the ids of the processes are compared.

Modules say by ``at_begin`` what a child begins with: ``registry.py`` without pools and holders, ``backends/pooled.py``
with wrappers that have forgotten their connections, and ``drivers/inherited.py`` with sockets that lead nowhere.
"""

from __future__ import annotations

import _thread
import contextlib
import mmap
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

#: Linux's MADV_WIPEONFORK, which older versions of Python have no name for, and advice that no system knows.
_WIPE_ON_FORK, _NONSENSE = 18, -1
#: The numbers in the page, beside the 0 of a child that has yet to begin.
_BEGINNING, _BEGUN = 1, 2
#: How often to look whether another thread has done what a child begins with, in seconds.
_LOOK_INTERVAL = 0.001


class _Page(Protocol):
    """Memory whose first number is 0 in each forked child."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, number: int, /) -> None: ...


class _PageById:
    """The same by the process's id: a system call at each look."""

    def __init__(self) -> None:
        self._number, self._id = 0, 0

    def __getitem__(self, index: int, /) -> int:
        return self._number if self._id == os.getpid() else 0

    def __setitem__(self, index: int, number: int, /) -> None:
        self._number, self._id = number, os.getpid()


def _make_page() -> _Page:
    if sys.platform == "linux":
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # Before Linux 4.14.
            page.madvise(_WIPE_ON_FORK)
            try:
                page.madvise(_NONSENSE)
            except OSError:
                return page  # Emulators accept any advice, and follow none.
        page.close()
    return _PageById()


_page = _make_page()
_page[0] = _BEGUN
#: Stands for this process: its id, when it began.
_mark = os.getpid()
#: What a forked child begins with.
_beginnings: list[Callable[[], None]] = []
#: By process, the thread that does that.
_beginners: dict[int, int] = {}
#: Whether that was interrupted, or failed, the last time.
_has_failed = False


def mark() -> int:
    """Return what stands for this process: what is made in it keeps that, for ``is_current``."""
    if _page[0] != _BEGUN:
        _begin()
    return _mark


def is_current(of: int | None) -> bool:
    """Return whether a mark is this process's, and not that of one from which it was forked."""
    if _page[0] != _BEGUN:  # As `notice_fork`, but without the call: it runs several times in each checkout.
        _begin()
    return of == _mark


def notice_fork() -> None:
    """Do what a child begins with, if this is one, and that is yet to be done."""
    if _page[0] != _BEGUN:
        _begin()


def at_begin(beginning: Callable[[], None]) -> None:
    """Call a function in each forked child, before that uses a pool; once more if it is interrupted."""
    _beginnings.append(beginning)


def _begin() -> None:
    """Do what a child begins with, in the thread that is the first to ask; the others wait."""
    me, process = _thread.get_ident(), os.getpid()
    while _page[0] != _BEGUN:
        if _beginners.setdefault(process, me) != me:
            time.sleep(_LOOK_INTERVAL)
        elif _page[0] == _BEGINNING:
            return  # What the child begins with asks.
        else:
            _call_beginnings(process)


def _call_beginnings(process: int) -> None:
    global _mark, _has_failed
    try:
        with contextlib.ExitStack() as stack:  # Which calls them all, whatever one raises.
            for beginning in reversed(_beginnings):
                stack.callback(beginning)
            _page[0] = _BEGINNING
            _mark = process
        _has_failed = False
        _page[0] = _BEGUN
    except BaseException:
        # An exception out of a signal handler: once more then, but not for ever if that fails by itself.
        _page[0] = _BEGUN if _has_failed else 0
        _has_failed = True
        raise
    finally:
        _beginners.pop(process, None)


def _after_fork() -> None:
    if _mark != os.getpid():  # It may have begun already, in an earlier hook.
        _page[0] = 0
    notice_fork()


os.register_at_fork(after_in_child=_after_fork)
