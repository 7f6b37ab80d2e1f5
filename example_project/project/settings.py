"""Settings of the example project; those that differ between machines come from the environment."""

from pathlib import Path

import environ

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = env("SECRET_KEY", default="for the example only")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])

INSTALLED_APPS = [
    "celery_geventpool",
    "library",
    # The admin, where "Connection pools" is, and what it needs.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"

DATABASES = {
    "default": env.db(
        "DATABASE_URL",
        default="postgres://localhost/library",
        engine="django_geventpool.backends.postgresql_psycopg2",
    ),
}
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        # The most connections that this process opens, however many greenlets it runs.
        "MAX_CONNS": env.int("GEVENTPOOL_MAX_CONNS", default=10),
        "CONN_WAIT_TIMEOUT": env.float("GEVENTPOOL_CONN_WAIT_TIMEOUT", default=15.0),
        # Names these connections in pg_stat_activity.
        "application_name": env("DATABASE_APPLICATION_NAME", default="library"),
    }
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="amqp://localhost")
CELERY_BROKER_TRANSPORT_OPTIONS = env.json("CELERY_BROKER_TRANSPORT_OPTIONS", default={})
CELERY_RESULT_BACKEND = env("CELERY_RESULT_BACKEND", default=None)
# All greenlets use the same result backend, instead of one each.
CELERY_RESULT_BACKEND_THREAD_SAFE = True
CELERY_TASK_DEFAULT_QUEUE = env("CELERY_TASK_DEFAULT_QUEUE", default="library")

TIME_ZONE = "UTC"
USE_TZ = True

# The server of ``manage.py serve_stdlib``, from which modules are fetched.
LIBRARY_SOURCE_URL = env("LIBRARY_SOURCE_URL", default="http://127.0.0.1:8800/")
