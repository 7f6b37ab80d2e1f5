"""The Django database engines."""

from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

if find_spec("psycopg2") is None and find_spec("psycopg") is None:
    raise ImproperlyConfigured('No PostgreSQL driver is installed: pip install "celery-geventpool[psycopg2]".')
