"""The versions that the engines need. If a driver is too old for Django itself, Django says so."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

#: The first whose DatabaseWrapper uses a pool in the way that the engines rely on.
DJANGO = (5, 2)
#: The first that resolves the names of hosts before it connects, and so doesn't block the hub with that.
PSYCOPG = (3, 2)


def check_django(version: tuple[int, ...]) -> None:
    """Refuse a version of Django that is too old.

    :raises ImproperlyConfigured: with what to do.
    """
    _check("Django", version, DJANGO, 'pip install "Django>=5.2"')


def check_psycopg(version: tuple[int, ...]) -> None:
    """Refuse a version of psycopg 3 that is too old.

    :raises ImproperlyConfigured: with what to do.
    """
    _check("psycopg", version, PSYCOPG, 'pip install "celery-geventpool[psycopg]"')


def _check(package: str, version: tuple[int, ...], needed: tuple[int, ...], command: str) -> None:
    if version < needed:
        raise ImproperlyConfigured(
            f"celery-geventpool needs {package} {_text(needed)} or later; this is {_text(version)}: {command}"
        )


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
