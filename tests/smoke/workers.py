"""Celery workers of the test project, and what can be seen of them from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import celery
from celery.result import AsyncResult

import celery_geventpool
from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker
from servers.postgres import PostgresServer
from tests.support.waiting import eventually

from .project.smoke_project.whole_messages import deliver_whole_messages

ROOT = Path(__file__).parent.parent.parent
PROJECT_FOLDER = Path(__file__).parent / "project"
ENGINE = "django_geventpool.backends.postgresql_psycopg2"

#: What the server's log must start its lines with.
LOG_LINE_PREFIX = "%m [%p] %a: "
_CONNECTED = re.compile(r"connection authorized: .*application_name=(\S+)")
_ENDED = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\S+): LOG: +disconnection:")
_PID = re.compile(r"^\S+ \S+ \S+ \[(\d+)\]")

RESULT_TIMEOUT = 60.0
NO_NUMBERS = {"in_use": 0, "idle": 0, "connecting": 0, "closing": 0, "waiting": 0, "size": 0, "reclaimed": 0}


class Worker(CeleryWorker):
    """A worker of the test project, and a client that gives it tasks; a context manager.

    :param name: the application name of its connections.
    :param folder: is created, for the broker, the results and the log.
    :param options: DATABASES["default"]["OPTIONS"].
    :param database: more of DATABASES["default"].
    :param aliases: more databases: their OPTIONS by alias.
    :param settings: Celery's.
    :param apps: INSTALLED_APPS.
    :param install: whether the Celery module calls celery_geventpool.install.
    :param django: more of Django's settings.
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
        default = {
            "ENGINE": ENGINE,
            "HOST": server.host,
            "PORT": server.port,
            "USER": server.user,
            "PASSWORD": server.password,
            "NAME": server.dbname,
            **(database or {}),
        }
        databases = {
            alias: {**default, "OPTIONS": {"application_name": name, **its_options}}
            for alias, its_options in {"default": options, **(aliases or {})}.items()
        }
        project = {
            "django": {"INSTALLED_APPS": list(apps), "DATABASES": databases, **(django or {})},
            "celery": celery_settings,
            "install": install,
        }
        own_environment = {"SMOKE_PROJECT": json.dumps(project), **_python_path()}
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
        #: The process that is known to answer.
        self._answering: int | None = None
        deliver_whole_messages()
        self.client = celery.Celery("client", set_as_current=False)
        # Without a pool, there are no connections to a broker that was restarted.
        self.client.conf.update(celery_settings, broker_pool_limit=None)
        if not str(celery_settings["result_backend"]).startswith("file:"):
            self.client.conf.result_backend = None

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def command_line(self, *command: str) -> None:
        """Start the worker in another way than by Celery's command line."""
        self.command = list(command)

    def await_answer(self) -> None:
        """Wait until the worker takes commands: after a reconnect, it may take tasks before."""
        eventually(lambda: self.client.control.ping([self.hostname], timeout=1), f"an answer of {self.name}")

    # Tasks

    def send(self, task: str, *args: object, **options: Any) -> AsyncResult[Any]:
        """Have a task run."""
        return self.client.send_task(f"smoke_project.tasks.{task}", args=args, **options)

    def send_many(self, count: int, task: str, *args: object, **options: Any) -> list[AsyncResult[Any]]:
        return [self.send(task, *args, **options) for _ in range(count)]

    def run(self, task: str, *args: object, **options: Any) -> Any:
        """Have a task run and return its result."""
        return result_of(self.send(task, *args, **options))

    def control(self, name: str, **arguments: Any) -> Any:
        """Have a remote control command run and return its answer."""
        if self._answering != self.pid:
            # Under gevent and eventlet a worker says that it is ready before it listens to commands.
            self.await_answer()
            self._answering = self.pid
        replies = self.client.control.broadcast(
            name, arguments=arguments, destination=[self.hostname], reply=True, timeout=RESULT_TIMEOUT, limit=1
        )
        assert replies, f"{name}: no answer of {self!r}:\n{self.log[-2000:]}"
        return replies[0][self.hostname]

    def revoke(self, results: Iterable[AsyncResult[Any]]) -> None:
        """Revoke tasks and terminate those that run."""
        # The signal matters to prefork only: in the middle of a query, psycopg2 hears no other.
        self.control("revoke", task_id=[result.id for result in results], terminate=True, signal="SIGKILL")

    # The pool and its connections

    def new_gate(self) -> str:
        """A name for tasks that wait in the middle of a query until `open_gate`."""
        return str(uuid.uuid4())

    def open_gate(self, gate: str) -> None:
        self.server.query(f"INSERT INTO gates VALUES ('{gate}')")

    def numbers(self) -> dict[str, Any]:
        """The numbers of the pool of the main process."""
        answer: dict[str, dict[str, Any]] = self.control("pool_numbers")
        return answer.get("default", NO_NUMBERS)

    def is_quiet(self) -> bool:
        numbers = self.numbers()
        return not any(numbers[what] for what in ("in_use", "connecting", "closing", "waiting"))

    def assert_whole(self) -> None:
        """Nobody holds or waits for anything, the whole capacity can be used, and the bound was never exceeded."""
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        gate = self.new_gate()
        tasks = self.send_many(self.limit, "query_until", gate)
        self.await_active(self.limit)
        # It answers while all connections execute something.
        numbers = self.numbers()
        assert (numbers["in_use"], numbers["size"]) == (self.limit, self.limit)
        assert self.connections() == self.limit
        self.open_gate(gate)
        assert len({result_of(task) for task in tasks}) == self.limit
        eventually(self.is_quiet, f"a quiet pool of {self.name}")
        assert self.connections() <= self.limit
        assert self.peak() <= self.limit

    def warnings_of_leaks(self) -> list[str]:
        return [line for line in self.log.splitlines() if "without giving its connection back" in line]

    # The server

    def sessions(self, condition: str = "true") -> int:
        """How many connections of the worker, that meet a condition, the server counts."""
        rows = self.server.query(
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{self.name}' AND ({condition})"
        )
        return int(rows[0][0])

    def connections(self) -> int:
        """How many connections of the worker the server counts."""
        return self.sessions()

    def active(self, text: str) -> int:
        """How many queries with this text the server executes for the worker."""
        return self.sessions(f"state = 'active' AND query LIKE '%{text}%'")

    def await_active(self, count: int, text: str = "pg_sleep") -> None:
        eventually(lambda: self.active(text) == count, f"{count} active queries of {self.name}")

    def opened(self) -> int:
        """How many connections of the worker the server has let in, from the first on."""
        return sum(match[1] == self.name for match in _CONNECTED.finditer(self.server.log))

    def peak(self) -> int:
        """The most connections of the worker at the same time, from the first on, by the server's log."""
        present: set[str] = set()
        most = 0
        for line in self.server.log.splitlines():
            connected = _CONNECTED.search(line)
            pid = _PID.match(line)
            if connected is not None and connected[1] == self.name and pid is not None:
                present.add(pid[1])
                most = max(most, len(present))
            elif (ended := _ENDED.match(line)) is not None:
                present.discard(ended[1])
        return most


def result_of(result: AsyncResult[Any]) -> Any:
    """Wait for a task and return what it returned; raise what it raised."""
    return result.get(timeout=RESULT_TIMEOUT, interval=0.02)


def migrate(worker: Worker) -> None:
    """Make the tables of the worker's apps."""
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        cwd=PROJECT_FOLDER,
        env={**worker.environment, "DJANGO_SETTINGS_MODULE": "smoke_project.settings"},
        check=True,
    )


def _python_path() -> dict[str, str]:
    """The checkout is on a worker's path only where it is on this process's, too."""
    folder = Path(celery_geventpool.__file__).parent.parent
    return {"PYTHONPATH": str(ROOT)} if folder == ROOT else {}
