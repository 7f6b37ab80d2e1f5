"""The admin in a web server, and its users in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servers.postgres import PostgresServer
from servers.web_server import WebServer, gunicorn
from tests.smoke.environment import PROJECT_FOLDER as WORKERS_PROJECT
from tests.smoke.environment import database_settings, project_environment, python_path

PROJECT_FOLDER = Path(__file__).parent / "project"
#: Enough for ten viewers who wait for the workers' answers.
THREADS = 24

_APPS = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles"]
_CONTEXT_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
SETTINGS: Mapping[str, Any] = {
    "ALLOWED_HOSTS": ["127.0.0.1"],
    "INSTALLED_APPS": ["celery_geventpool", *(f"django.contrib.{app}" for app in _APPS)],
    "MIDDLEWARE": [
        "browser_project.policy.strict",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "ROOT_URLCONF": "browser_project.urls",
    "STATIC_URL": "/static/",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": _CONTEXT_PROCESSORS},
        }
    ],
}


class AdminSite(WebServer):
    """Django's admin with "Connection pools", in gunicorn; a context manager.

    :param celery: the settings of the app whose workers it asks.
    """

    def __init__(self, postgres: PostgresServer, folder: Path, celery: Mapping[str, Any]) -> None:
        django = {**SETTINGS, "DATABASES": {"default": database_settings(postgres, "site", {"MAX_CONNS": THREADS})}}
        folders = [python_path().get("PYTHONPATH"), str(PROJECT_FOLDER), str(WORKERS_PROJECT)]
        environment = {
            **project_environment(django, celery),
            "DJANGO_SETTINGS_MODULE": "smoke_project.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, folders)),
        }
        people = [sys.executable, "-m", "browser_project.people"]
        subprocess.run(people, env={**os.environ, **environment}, check=True)
        module, arguments = gunicorn("browser_project.wsgi", "gthread", "--threads", str(THREADS))
        super().__init__(module, arguments, log_file=folder / "site.log", cwd=PROJECT_FOLDER, env=environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"
