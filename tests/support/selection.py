"""Selects the tests for this run's framework and driver by their markers, which ``pyproject.toml`` declares.

Others are deselected silently; they don't count as skipped, as this run has nothing to prove about them.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.launcher import DRIVERS, FRAMEWORKS

from .tasks import FRAMEWORK

#: A marker's name and arguments.
Mark = tuple[str, tuple[str, ...]]


def is_meant(marks: Iterable[Mark]) -> bool:
    """Return whether tests with these markers are for this run.

    :raises ValueError: for an unknown framework or driver.
    """
    return all(_RULES[name](*arguments) for name, arguments in marks if name in _RULES)


def marks_of_module(path: Path) -> Iterator[Mark]:
    """Yield the markers in a module's ``pytestmark``, read from its source, as its imports may be missing."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name("pytestmark")], value=value):
                for node in ast.walk(value):
                    match node:
                        case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in _RULES:
                            yield name, tuple(ast.literal_eval(argument) for argument in arguments)


def _runs_in(*frameworks: str) -> bool:
    _check(frameworks, FRAMEWORKS)
    return FRAMEWORK in frameworks


def _runs_over(driver: str) -> bool:
    # This imports Django, which not every suite needs.
    from .drivers import DRIVER

    _check([driver], DRIVERS)
    return driver == DRIVER


def _finds(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


def _check(names: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(names).difference(known))
    if unknown:
        raise ValueError(f"a marker names {', '.join(unknown)}, which is none of {', '.join(known)}")


_RULES: dict[str, Callable[..., bool]] = {"frameworks": _runs_in, "driver": _runs_over, "imports": _finds}
