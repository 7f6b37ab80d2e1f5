"""The registry of small programs, each of which does one thing with a database through Django, and checks the answers.

Tests interrupt them at any point, so each must be able to begin whatever the last run has left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .drivers import DRIVER
from .scene import Scene
from .tasks import FRAMEWORK

Run = Callable[[Scene], None]


def _nothing(_scene: Scene) -> None:
    pass


@dataclass(frozen=True)
class Program:
    """A small program.

    After it, the runner gives the connections back (``Scene.give_back``), as Celery does at the end of a task, if
    ``gives_back`` is true.
    """

    name: str
    run: Run
    #: Called before each run.
    prepare: Run = _nothing
    #: The OPTIONS of its aliases.
    options: dict[str, Any] = field(default_factory=dict)
    #: False for a task whose end doesn't give back.
    gives_back: bool = True
    #: Whether the driver may swallow the exception that interrupts it, or replace it by an error of its own.
    is_swallowed: bool = False


PROGRAMS: list[Program] = []


def program(
    prepare: Run = _nothing,
    *,
    driver: str = DRIVER,
    framework: str = FRAMEWORK,
    gives_back: bool = True,
    is_swallowed: bool = False,
    **options: Any,
) -> Any:
    """Register a function as a program of the same name, for the drivers and frameworks that can run it."""

    def add(run: Run) -> Run:
        if driver == DRIVER and framework == FRAMEWORK:
            PROGRAMS.append(Program(run.__name__, run, prepare, options, gives_back, is_swallowed))
        return run

    return add
