"""Wraps functions of Celery's."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

logger = logging.getLogger("geventpool.worker")

#: The attribute that marks our wrappers.
_MARK = "_celery_geventpool"


def wrap_attribute(owner: type | ModuleType, name: str, wrap: Wrap) -> None:
    """Replace a method of a class, or a function of a module, by a wrapper around it; further calls change nothing.

    If this version of Celery doesn't have it, a warning is logged.
    """
    original = vars(owner).get(name)
    if original is None:
        logger.warning(
            "This version of Celery has no %s.%s, which celery-geventpool wraps: what it adds there is missing. "
            "See whether a newer celery-geventpool knows this version.",
            owner.__name__,
            name,
        )
    elif not hasattr(original, _MARK):
        wrapped = functools.wraps(original)(wrap(original))
        setattr(wrapped, _MARK, True)
        setattr(owner, name, wrapped)
