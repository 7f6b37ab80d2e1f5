"""The plans of a cluster's workers, on this machine or in Docker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from servers.postgres_address import Postgres
from tests.smoke.environment import database_settings, project_environment

#: The INSTALLED_APPS.
APPS = ("celery_geventpool", "django_celery_results", "django_celery_beat")
GREEN = ("gevent", "eventlet")
CONCURRENCY = {"gevent": 50, "eventlet": 50, "threads": 20, "prefork": 2}
#: MAX_CONNS by class of pool; prefork's is for each child.
LIMITS = {"gevent": 5, "eventlet": 5, "threads": 5, "prefork": 2}


@dataclass(frozen=True)
class Arrangement:
    """A broker, a result backend and a class of pool."""

    broker: str
    backend: str
    pool: str

    def __str__(self) -> str:
        return f"{self.broker}-{self.backend}-{self.pool}"


#: Each broker with each class of pool, and each class of pool with each result backend.
ARRANGEMENTS = [
    Arrangement("rabbitmq", "django", "gevent"),
    Arrangement("rabbitmq", "redis", "eventlet"),
    Arrangement("rabbitmq", "redis", "threads"),
    Arrangement("rabbitmq", "django", "prefork"),
    Arrangement("redis", "redis", "gevent"),
    Arrangement("redis", "django", "eventlet"),
    Arrangement("redis", "django", "threads"),
    Arrangement("redis", "redis", "prefork"),
]
#: Each class of pool once, each broker and each result backend twice, and of these two all four pairs.
PAIRWISE = [
    Arrangement("rabbitmq", "django", "gevent"),
    Arrangement("redis", "django", "eventlet"),
    Arrangement("rabbitmq", "redis", "threads"),
    Arrangement("redis", "redis", "prefork"),
]


@dataclass(frozen=True)
class WorkerPlan:
    """The plan of a worker of the test project.

    :param name: the name of the worker, of its queue, and of its connections.
    :param arguments: further arguments of its command line.
    :param processes: how many of its processes may have MAX_CONNS connections each.
    """

    name: str
    pool: str
    concurrency: int
    limit: int
    processes: int
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, arrangement: Arrangement) -> WorkerPlan:
        """Return the plan of the worker that tests share."""
        pool = arrangement.pool
        # Prefork's main process stores the results of tasks whose child is gone.
        processes = CONCURRENCY[pool] + 1 if pool == "prefork" else 1
        return cls(str(arrangement), pool, CONCURRENCY[pool], LIMITS[pool], processes)

    def changed(self, name: str, arguments: tuple[str, ...], processes: int | None) -> WorkerPlan:
        """Return the plan of a test's own worker."""
        return replace(self, name=name, arguments=arguments, processes=processes or self.processes)

    @property
    def queue(self) -> str:
        """The queue of this worker alone."""
        return self.name

    @property
    def worker_arguments(self) -> list[str]:
        """The arguments of its command line besides name, pool and concurrency; events are on."""
        return ["-Q", self.queue, "-E", *self.arguments]

    def environment(self, server: Postgres, cluster: Mapping[str, Any], application_name: str) -> dict[str, str]:
        """Return the environment variables of the project's processes.

        :param cluster: pytest-celery's settings of broker and result backend.
        """
        options = {"MAX_CONNS": self.limit, "CONN_WAIT_TIMEOUT": 60}
        if self.pool in GREEN:
            # So that killed queries are stopped by the pool, not by the server when it misses its client.
            options["options"] = "-c client_connection_check_interval=0"
        django = {
            "INSTALLED_APPS": APPS,
            "DATABASES": {"default": database_settings(server, application_name, options)},
        }
        celery = {
            "broker_url": cluster["celery_broker_cluster_config"]["urls"],
            "result_backend": cluster["celery_backend_cluster_config"]["urls"][0],
            "task_default_queue": self.queue,
            "worker_hijack_root_logger": True,
            "worker_pool_restarts": True,
            "broker_connection_retry_on_startup": True,
        }
        if self.pool in GREEN:
            # With events on, a green worker of Celery 5.7 waits for heartbeats for 0.1 s after each of RabbitMQ's
            # messages.
            celery["broker_heartbeat"] = 0
        return project_environment(django, celery)
