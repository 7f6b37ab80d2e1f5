"""The servers and folders of the demo: its own servers, or the user's."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker
from servers.postgres import PostgresServer

from .options import DemoOptions
from .pool_numbers import NUMBERS_FOLDER

ROOT = Path(__file__).resolve().parent.parent
PROJECT_FOLDER = ROOT / "example_project"
#: The environment variable that says that the worker is asked by remote commands meanwhile.
WITH_PAGE = "DEMO_WITH_PAGE"
_MAX_CONNECTIONS = 30
# For the demo's own connections, and those that PostgreSQL reserves for superusers.
_OTHER_CONNECTIONS = 10


@dataclass(frozen=True)
class Environment:
    """What the demo and its worker run on, as variables that the example's settings read."""

    #: Names the servers for people.
    description: str
    #: The name of the schema, the queue and the worker's connections.
    name: str
    folder: Path
    variables: dict[str, str]

    @property
    def results_folder(self) -> Path:
        """The folder in which Celery's result backend writes a file for each task that ended."""
        return self.folder / "results"

    @property
    def numbers_folder(self) -> Path:
        """The folder to which the worker writes its pools' numbers."""
        return self.folder / "numbers"

    def worker(self, options: DemoOptions, source_url: str, log_file: Path) -> CeleryWorker:
        """Return the worker, not started yet."""
        return CeleryWorker(
            "project",
            pool=options.pool,
            concurrency=options.concurrency,
            cwd=PROJECT_FOLDER,
            env={
                **self.variables,
                "PYTHONPATH": os.pathsep.join(_import_path()),
                # The parser warns of escape sequences in old modules.
                "PYTHONWARNINGS": "ignore::SyntaxWarning,ignore::DeprecationWarning",
                "LIBRARY_SOURCE_URL": source_url,
                # The source server is on this machine, even if other servers are behind a proxy.
                "no_proxy": f"{os.environ.get('no_proxy', '')},127.0.0.1",
                "DATABASE_APPLICATION_NAME": self.name,
                "GEVENTPOOL_MAX_CONNS": str(options.max_conns),
                # No task should fail because the machine is slow.
                "GEVENTPOOL_CONN_WAIT_TIMEOUT": "60",
                NUMBERS_FOLDER: str(self.numbers_folder),
            },
            # There is no other worker to exchange messages with, which costs time.
            arguments=[
                *("--include", "demo.in_worker"),
                *("--without-mingle", "--without-gossip", "--without-heartbeat"),
            ],
            log_file=log_file,
        )


def what_starts() -> str:
    """Return what the demo starts by itself, in words."""
    own = [
        *([] if "DATABASE_URL" in os.environ else ["a PostgreSQL server, which came as a Python package"]),
        *([] if "CELERY_BROKER_URL" in os.environ else ["a broker in a folder"]),
        "a worker",
    ]
    return ", ".join(own)


@contextmanager
def environment(options: DemoOptions, folder: Path) -> Iterator[Environment]:
    """Start the servers that the user doesn't provide, and stop them at the end."""
    name = f"geventpool_demo_{secrets.token_hex(4)}"
    settings = "demo.stock_settings" if options.stock else "project.settings"
    variables = {
        "DJANGO_SETTINGS_MODULE": settings,
        "CELERY_RESULT_BACKEND": f"file://{folder / 'results'}",
        # A queue and a schema of its own, as the servers may be the user's.
        "CELERY_TASK_DEFAULT_QUEUE": name,
        "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} -c search_path={name}".strip(),
    }
    if options.page:
        variables.update({WITH_PAGE: "1", "SECRET_KEY": secrets.token_urlsafe(32)})
    for subfolder in ("results", "numbers"):
        (folder / subfolder).mkdir()
    if "CELERY_BROKER_URL" not in os.environ:
        broker = filesystem_broker(folder / "broker")
        variables["CELERY_BROKER_URL"] = broker["broker_url"]
        variables["CELERY_BROKER_TRANSPORT_OPTIONS"] = json.dumps(broker["broker_transport_options"])
        broker_description = "a broker in a folder"
    else:
        broker_description = "the broker of CELERY_BROKER_URL"
    if "DATABASE_URL" in os.environ:
        description = f"the server of DATABASE_URL, {broker_description}"
        yield Environment(description, name, folder, variables)
        return
    max_connections = max(_MAX_CONNECTIONS, options.limit + _OTHER_CONNECTIONS)
    with PostgresServer(max_connections=max_connections) as server:
        variables["DATABASE_URL"] = server.url
        description = (
            f"PostgreSQL with room for {max_connections} connections (its max_connections), {broker_description}"
        )
        yield Environment(description, name, folder, variables)


def _import_path() -> list[str]:
    """Return this process's import path for the worker: packages may be installed, or in the checkout."""
    inherited = os.environ.get("PYTHONPATH")
    return [*([inherited] if inherited else []), str(ROOT)]
