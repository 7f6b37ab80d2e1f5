"""The Django app."""

from django.apps import AppConfig

from . import checks, install


class CeleryGeventpoolConfig(AppConfig):
    """Wires the worker and the system checks."""

    name = "celery_geventpool"
    verbose_name = "Celery connection pool"
    # There is no table, but Django asks what its key would be.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register handlers and checks only: nothing connects, and nothing is patched, before a worker starts."""
        checks.register()
        install()
