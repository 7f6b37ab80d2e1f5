"""Django system checks of what Celery's settings mean for the pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks

from django_geventpool import checks as backend_checks
from django_geventpool.checks import ids
from django_geventpool.checks.documentation import explained

REUSE_WARNING = checks.Warning(
    "CELERY_DB_REUSE_MAX is set: Celery's Django fixup will not close connections after each task.",
    hint="Remove it: the pool gives connections back by itself, and keeps them open.",
    id=ids.CELERY_DB_REUSE_MAX,
)


@explained
def check_reuse(**_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check that Celery isn't told to keep connections from task to task."""
    return [REUSE_WARNING] if getattr(settings, "CELERY_DB_REUSE_MAX", None) else []


def register() -> None:
    """Register this check and the backend's with Django."""
    backend_checks.register()
    checks.register(check_reuse)
