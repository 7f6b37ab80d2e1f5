"""The pool core: knows neither Django's backends, nor Celery, nor any driver."""

from .core import Pool
from .driver import Driver
from .stats import HeldConnection, PoolStats

__all__ = ["Driver", "HeldConnection", "Pool", "PoolStats"]
