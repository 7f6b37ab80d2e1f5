"""The Django database engines."""

from importlib.util import find_spec

import django
from django.core.exceptions import ImproperlyConfigured

from .versions import check_django

# Here, before anything is imported that an older Django doesn't have.
check_django(django.VERSION[:3])

if find_spec("psycopg2") is None and find_spec("psycopg") is None:
    raise ImproperlyConfigured(
        'No PostgreSQL driver is installed: pip install "celery-geventpool[psycopg]", for psycopg 3, '
        'or pip install "celery-geventpool[psycopg2]".'
    )
