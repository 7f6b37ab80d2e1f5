"""The example project. It imports its Celery app, so that tasks use that app wherever Django is set up."""

from .celery import app as celery_app

__all__ = ["celery_app"]
