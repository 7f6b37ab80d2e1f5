"""The pool core: knows neither Django's backends, nor Celery, nor any driver."""

from .driver import Driver
from .pool import Pool
from .stats import HeldConnection, PoolStats

__all__ = ["Driver", "HeldConnection", "Pool", "PoolStats"]
