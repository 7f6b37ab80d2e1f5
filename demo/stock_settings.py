"""The example's settings with Django's own engine instead of the pool, for comparison."""

from project.settings import *  # noqa: F403
from project.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS.remove("celery_geventpool")
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["OPTIONS"] = {
    name: value for name, value in DATABASES["default"]["OPTIONS"].items() if not name.isupper()
}
