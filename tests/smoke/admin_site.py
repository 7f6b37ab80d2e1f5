"""A site with Django's admin in the tests' process, and its users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import celery
import django
from django.conf import settings

from servers.postgres import PostgresServer

from .environment import database_settings

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.test import Client

_APPS = ("admin", "auth", "contenttypes", "sessions", "messages")


def client_of(name: str, **options: Any) -> Client:
    """Return a browser in which a user is logged in; users are named after what they may do."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(**options)
    client.force_login(User.objects.get(username=name))
    return client


def make_site(server: PostgresServer, broker_url: str, max_conns: int) -> celery.Celery:
    """Configure Django in this process, for good, and make the site's tables and users; return its Celery app."""
    from django.core.management import call_command

    server.query(f"CREATE DATABASE admin_page OWNER {server.user}")
    database = database_settings(server, "admin-page", {"MAX_CONNS": max_conns})
    settings.configure(
        SECRET_KEY="smoke",
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": {**database, "NAME": "admin_page", "ATOMIC_REQUESTS": True}},
        INSTALLED_APPS=[
            "celery_geventpool",
            *(f"django.contrib.{app}" for app in _APPS),
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        STATIC_URL="static/",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    app = celery.Celery("site")
    app.conf.broker_url = broker_url
    django.setup()
    from django.contrib import admin
    from django.urls import path

    settings.ROOT_URLCONF = (path("admin/", admin.site.urls),)
    call_command("migrate", verbosity=0)
    _make_users()
    return app


def _make_users() -> None:
    from django.contrib.auth.models import Permission, User

    User.objects.create_superuser("root")
    for name, permissions in {"nothing": [], "view": ["view"], "change": ["change"]}.items():
        user: User = User.objects.create_user(name, is_staff=True)
        codenames = [f"{permission}_connectionpools" for permission in permissions]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
