"""Django system checks of the databases that use the pool's engines."""

from django.core import checks

from .project import check_celery, check_green
from .server import check_servers
from .session_apps import check_session_apps
from .settings import check_databases

__all__ = ["check_databases", "check_session_apps", "register"]


def register() -> None:
    """Make Django run the checks, in ``manage.py check`` and the like; calling it more than once changes nothing."""
    for check in (check_databases, check_green, check_celery, check_session_apps):
        checks.register(check)
    checks.register(check_servers, checks.Tags.database)
