"""Putting functions around Celery's own."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

logger = logging.getLogger("geventpool.worker")

#: The attribute of functions that are put around others.
_MARK = "_celery_geventpool"


def replace(owner: type | ModuleType, name: str, wrap: Wrap) -> None:
    """Put a function around a method of a class or a function of a module, once.

    A place that this version of Celery doesn't have is left out, and said so.
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
