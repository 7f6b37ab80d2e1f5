"""One more framework beside gevent, eventlet and threads: it replaces the clock, locks, threads and random numbers.

As those replace the standard library for all, this one does for the pool's modules alone. So it is the real pool that
runs, and each of its waits is a switch to the scheduler.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from django_geventpool import green, here, registry
from django_geventpool.pool import holder, housekeeper, pool, state
from django_geventpool.pool.lock import Lock
from django_geventpool.pool.server_limit import ServerLimit

from .scheduler import Scheduler, Task, Thrown

_PACKAGE = "django_geventpool.pool"
_HOUSEKEEPER = "Housekeeper._run"
#: What the pool may use of each module that is replaced.
_REPLACED = {"time": time, "threading": threading, "random": random, "secrets": secrets}


class Framework:
    """The replacements, on one scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Replace what the pool's modules use, and keep its log quiet."""
        scheduler = self.scheduler
        modules = {
            "time": SimpleNamespace(monotonic=lambda: scheduler.now, sleep=scheduler.sleep),
            "threading": self._threading(),
            "random": scheduler.random,
            "secrets": SimpleNamespace(choice=scheduler.random.choice),
        }
        with pytest.MonkeyPatch.context() as patches:
            for module in _modules():
                for name, real in _REPLACED.items():
                    if vars(module).get(name) is real:
                        patches.setattr(module, name, modules[name])
            patches.setattr(green, "active", lambda: "threads")
            patches.setattr(green, "start_thread", self._start_thread)
            for module in (pool, registry):
                patches.setattr(module, "Lock", functools.partial(SteppedLock, scheduler))
            patches.setattr(state, "ServerLimit", lambda clock: ServerLimit(clock, scheduler.random.uniform))
            patches.setattr(holder, "begin_request", lambda: scheduler.current.local.get("is_urgent", False))
            patches.setattr(housekeeper, "log_in_background", self._refuse_errors)
            patches.setattr(logging.getLogger("geventpool.pool"), "disabled", True)
            yield

    def _threading(self) -> Any:
        scheduler = self.scheduler
        return SimpleNamespace(
            Lock=functools.partial(SimulatedLock, scheduler),
            Semaphore=functools.partial(SimulatedSemaphore, scheduler),
            local=type("local", (SimulatedLocal,), {"scheduler": scheduler}),
            current_thread=lambda: scheduler.current,
            Thread=_NoThread,
            TIMEOUT_MAX=threading.TIMEOUT_MAX,
        )

    def _start_thread(self, function: Callable[..., object], *args: Any) -> None:
        scheduler = self.scheduler
        current = scheduler.current
        assert current is not None, "a thread is started by nobody"
        name = _name(function)
        task = scheduler.start(current.group, name, function, *args)
        # The housekeeper has nobody who would look after it at once.
        if task is not None and name != _HOUSEKEEPER and scheduler.random.random() < scheduler.stillborn:
            scheduler.throw(task, Thrown())

    def _refuse_errors(self, log: Callable[..., None], *message: object, exc_info: Any = None, **_: object) -> None:
        if isinstance(exc_info, BaseException):
            self.scheduler.failed(exc_info)


def _modules() -> list[Any]:
    of_pool = [module for name, module in sorted(sys.modules.items()) if f"{name}.".startswith(f"{_PACKAGE}.")]
    return [here, *of_pool]


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", function)).rpartition(".<locals>.")[2]


class _NoThread:
    """No task is a thread of the system."""


class SimulatedLock:
    """``threading.Lock``."""

    __slots__ = ("_is_locked", "_scheduler", "_waiting")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_locked = False
        self._waiting: list[Task] = []

    def locked(self) -> bool:
        return self._is_locked

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not self._is_locked:
            self._is_locked = True
            return True
        scheduler = self._scheduler
        if not blocking or timeout == 0:
            return False
        until = None if timeout < 0 else scheduler.now + timeout
        task = scheduler.current
        assert task is not None
        self._waiting.append(task)
        try:
            while self._is_locked:
                if until is not None and scheduler.now >= until:
                    return False
                scheduler.wait(until)
            self._is_locked = True
        finally:
            self._waiting.remove(task)
            if not self._is_locked:
                self._wake_next()  # This one was woken, and an exception has come first.
        return True

    def release(self) -> None:
        if not self._is_locked:
            raise RuntimeError("release unlocked lock")
        self._is_locked = False
        self._wake_next()

    def _wake_next(self) -> None:
        if self._waiting:
            self._scheduler.wake(self._waiting[0])


class SimulatedSemaphore:
    """``threading.Semaphore``."""

    def __init__(self, scheduler: Scheduler, value: int) -> None:
        self._scheduler = scheduler
        self._value = value
        self._waiting: list[Task] = []

    def acquire(self, timeout: float) -> bool:
        until = self._scheduler.now + timeout
        task = self._scheduler.current
        assert task is not None
        while not self._value:
            if self._scheduler.now >= until:
                return False
            self._waiting.append(task)
            try:
                self._scheduler.wait(until)
            finally:
                self._waiting.remove(task)
        self._value -= 1
        return True

    def release(self) -> None:
        self._value += 1
        for task in self._waiting:
            self._scheduler.wake(task)


class SimulatedLocal:
    """``threading.local``: each task has attributes of its own, until it ends."""

    scheduler: Scheduler

    def __getattr__(self, name: str) -> Any:
        try:
            return self.scheduler.current.local[name]  # type: ignore[union-attr]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self.scheduler.current.local[name] = value  # type: ignore[union-attr]


class SteppedLock(Lock):
    """The pool's lock, at which threads may lose the processor."""

    __slots__ = ("_scheduler",)

    def __init__(self, scheduler: Scheduler, repair: Callable[[], object]) -> None:
        super().__init__(repair)
        self._scheduler = scheduler

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._scheduler.let_others_run()
        result = super().run(function, *arguments)
        self._scheduler.let_others_run()
        return result
