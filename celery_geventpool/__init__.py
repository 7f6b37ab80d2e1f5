"""Celery workers whose tasks share a bounded pool of PostgreSQL connections.

Add ``"celery_geventpool"`` to ``INSTALLED_APPS``, or call ``install`` in the module that makes the Celery app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["install"]


def install(app: Celery | None = None) -> None:
    """Connect the worker side to Celery's signals; calling it more than once changes nothing.

    :param app: accepted for the sake of readable code. Signals, like the pools, are the process's.
    """
    from . import signals

    signals.connect()
