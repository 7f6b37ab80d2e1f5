"""Celery workers of the test project on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import celery

from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker
from servers.postgres import PostgresServer

from .environment import ENGINE, PROJECT_FOLDER, database_settings, project_environment, python_path
from .project.smoke_project.whole_messages import deliver_whole_messages
from .watched_worker import LOG_LINE_PREFIX, WatchedWorker, result_of

__all__ = ["ENGINE", "LOG_LINE_PREFIX", "PROJECT_FOLDER", "Worker", "result_of"]


class Worker(WatchedWorker, CeleryWorker):
    """A worker of the test project, and a client that sends it tasks; a context manager.

    :param name: the application name of its connections.
    :param folder: the folder of broker, results and log, which is created.
    :param options: DATABASES["default"]["OPTIONS"].
    :param database: further settings of DATABASES["default"].
    :param aliases: the OPTIONS of further databases, by alias.
    :param others: the whole settings of databases elsewhere, by alias.
    :param settings: Celery's settings.
    :param apps: INSTALLED_APPS.
    :param install: whether the Celery module calls celery_geventpool.install.
    :param django: further settings of Django.
    """

    def __init__(
        self,
        server: PostgresServer,
        name: str,
        folder: Path,
        *,
        pool: str,
        concurrency: int,
        options: Mapping[str, Any],
        database: Mapping[str, Any] | None = None,
        aliases: Mapping[str, Mapping[str, Any]] | None = None,
        others: Mapping[str, Mapping[str, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
        apps: Sequence[str] = ("celery_geventpool",),
        install: bool = False,
        django: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        loglevel: str = "INFO",
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "results").mkdir()
        self.server = server
        self.name = name
        self.pool = pool
        self.concurrency = concurrency
        self.limit: int = options.get("MAX_CONNS", 4)
        self.folder = folder
        celery_settings: dict[str, Any] = {
            **filesystem_broker(folder / "broker"),
            "result_backend": f"file://{folder / 'results'}",
            "worker_hijack_root_logger": True,
            "worker_pool_restarts": True,
            "broker_connection_retry_on_startup": True,
            **(settings or {}),
        }
        databases = {
            alias: {**database_settings(server, name, its_options), **(database or {})}
            for alias, its_options in {"default": options, **(aliases or {})}.items()
        }
        django_settings = {"INSTALLED_APPS": list(apps), "DATABASES": {**databases, **(others or {})}, **(django or {})}
        own_environment = {**project_environment(django_settings, celery_settings, install=install), **python_path()}
        self.environment = {**os.environ, **own_environment}
        super().__init__(
            "smoke_project.celery",
            pool=pool,
            concurrency=concurrency,
            cwd=PROJECT_FOLDER,
            env=own_environment,
            arguments=["--without-mingle", "--without-gossip", "--without-heartbeat", *arguments],
            hostname=f"{name}@localhost",
            log_file=folder / "log",
            loglevel=loglevel,
        )
        #: The id of the process that has answered a command.
        self._answering: int | None = None
        deliver_whole_messages()
        self.client = celery.Celery("client", set_as_current=False)
        # Without a pool of its own, the client keeps no connections to a broker that was restarted.
        self.client.conf.update(celery_settings, broker_pool_limit=None)
        if not str(celery_settings["result_backend"]).startswith("file:"):
            self.client.conf.result_backend = None

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def command_line(self, *command: str) -> None:
        """Let the worker be started by another command than Celery's."""
        self.command = list(command)

    def control(self, command: str, **arguments: Any) -> Any:
        """Send a remote control command, and return its answer."""
        if self._answering != self.pid:
            # Under gevent and eventlet, a worker says that it is ready before it listens for commands.
            self.await_answer()
            self._answering = self.pid
        return super().control(command, **arguments)

    def warnings_of_leaks(self) -> list[str]:
        return [line for line in self.log.splitlines() if "without giving its connection back" in line]
