"""The pool itself: knows nothing of Django's backends, of Celery, or of any driver."""

from .driver import Driver
from .pool import Pool
from .stats import HeldConnection, PoolStats
from .use_by_task import TaskUse

__all__ = ["Driver", "HeldConnection", "Pool", "PoolStats", "TaskUse"]
