"""Versions of requirements that are too old are refused."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_geventpool.backends.versions import check_django, check_psycopg


@pytest.mark.parametrize("version", [(5, 2, 0), (5, 2, 19), (6, 0, 0), (7, 1)])
def test_a_django_that_is_new_enough(version: tuple[int, ...]) -> None:
    check_django(version)


@pytest.mark.parametrize("version", [(5, 1, 15), (4, 2, 0)])
def test_a_django_that_is_too_old(version: tuple[int, ...]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"needs Django 5\.2 or later; this is [45]\.[12]\..* pip install"):
        check_django(version)


@pytest.mark.parametrize("version", [(3, 2), (3, 2, 0), (3, 3, 9)])
def test_a_psycopg_that_is_new_enough(version: tuple[int, ...]) -> None:
    check_psycopg(version)


@pytest.mark.parametrize("version", [(3, 1, 20), (3, 0)])
def test_a_psycopg_that_is_too_old(version: tuple[int, ...]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"needs psycopg 3\.2 or later; this is 3\.[01].*\[psycopg\]"):
        check_psycopg(version)
