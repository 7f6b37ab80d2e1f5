"""Engines derived from ours, as other packages derive them."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from .drivers import ENGINE

#: The wrapper class of our engine.
Base: Any = import_module(f"{ENGINE}.base").DatabaseWrapper


def engine_of(wrapper_class: type) -> str:
    """Return the ENGINE of a wrapper class."""
    name = f"engine_of_a_test_{wrapper_class.__name__}_{id(wrapper_class)}"
    module: Any = ModuleType(f"{name}.base")
    module.DatabaseWrapper = wrapper_class
    sys.modules[module.__name__] = module
    return name
