"""The registry of small programs: each does one thing with a database through Django, and checks its answers.

They run whole in each of their ways of being interrupted, so each may begin and end anywhere.
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
    """One program.

    Whoever runs it gives the connections back afterwards (`Scene.give_back`), as Celery does at the end of a task;
    but for one that `closes` itself nothing.
    """

    name: str
    run: Run
    #: What is done before each run.
    prepare: Run = _nothing
    #: OPTIONS of its aliases.
    options: dict[str, Any] = field(default_factory=dict)
    #: Whether it is a task that ends, or is killed, without the end that gives back.
    gives_back: bool = True
    #: Whether the driver is known to swallow what interrupts this, or to put an error of its own in its place.
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
    """Add a program, named like the function, for the drivers and frameworks that can run it."""

    def add(run: Run) -> Run:
        if driver == DRIVER and framework == FRAMEWORK:
            PROGRAMS.append(Program(run.__name__, run, prepare, options, gives_back, is_swallowed))
        return run

    return add
