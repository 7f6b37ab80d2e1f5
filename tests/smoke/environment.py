"""The environment of the test project's processes: their settings of Django and Celery."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import celery_geventpool
from servers.postgres_address import Postgres

ROOT = Path(__file__).parent.parent.parent
PROJECT_FOLDER = Path(__file__).parent / "project"
ENGINE = "django_geventpool.backends.postgresql_psycopg2"


def database_settings(server: Postgres, application_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of Django's DATABASES, on our engine."""
    return {
        "ENGINE": ENGINE,
        "HOST": server.host,
        "PORT": server.port,
        "USER": server.user,
        "PASSWORD": server.password,
        "NAME": server.dbname,
        "OPTIONS": {"application_name": application_name, **options},
    }


def project_environment(
    django: Mapping[str, Any], celery: Mapping[str, Any], *, install: bool = False
) -> dict[str, str]:
    """Return the environment variables of a process with these settings.

    :param install: whether its Celery module calls celery_geventpool.install.
    """
    project = {"django": django, "celery": celery, "install": install}
    return {"SMOKE_PROJECT": json.dumps(project)}


def python_path() -> dict[str, str]:
    """Return PYTHONPATH for processes on this machine; the checkout is on it only if it is on this process's path."""
    folder = Path(celery_geventpool.__file__).parent.parent
    # There may be what hides a driver.
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (others, str(ROOT))))} if folder == ROOT else {}
