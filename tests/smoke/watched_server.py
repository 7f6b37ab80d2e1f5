"""A database server that tells of each connection of the workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound

from .environment import PROJECT_FOLDER, database_settings, project_environment, python_path
from .watched_worker import LOG_LINE_PREFIX


@contextmanager
def watched_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server whose log tells of each connection, with the table of the gates that tasks wait for.

    Skips the test where there is no PostgreSQL.
    """
    try:
        server = PostgresServer(
            max_connections=300, log_connections=True, log_disconnections=True, log_line_prefix=LOG_LINE_PREFIX
        )
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        server.query(f"CREATE TABLE gates (name text); ALTER TABLE gates OWNER TO {server.user}")
        yield server


def migrate(server: PostgresServer, apps: Sequence[str]) -> None:
    """Make the tables of apps."""
    django = {"INSTALLED_APPS": list(apps), "DATABASES": {"default": database_settings(server, "migrate", {})}}
    environment = {
        **project_environment(django, {}),
        **python_path(),
        "DJANGO_SETTINGS_MODULE": "smoke_project.settings",
    }
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **environment},
        check=True,
    )
