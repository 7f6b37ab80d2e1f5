"""The nodes in Docker that pytest-celery doesn't have, as fixtures of pytest-docker-tools."""

from __future__ import annotations

from pytest_celery import CeleryWorkerContainer
from pytest_docker_tools import build, container, fxtr

from tests.smoke.environment import ROOT
from tests.smoke.watched_worker import LOG_LINE_PREFIX

from .databases import DockerDatabase
from .plans import WorkerPlan
from .worker import APP, BEAT_ARGUMENTS

NETWORK = "{default_pytest_celery_network.name}"
START_TIMEOUT = 120


class DockerWorker(CeleryWorkerContainer):  # type: ignore[misc]
    """A worker in a container, whose environment has its name."""

    def worker_name(self) -> str:
        return self.env["WORKER_NAME"]

    def worker_queue(self) -> str:
        return self.env["WORKER_NAME"]


def worker_command(plan: WorkerPlan) -> list[str]:
    """Return a command that creates the tables, and then runs a worker."""
    worker = ["-A", APP, "worker", "-P", plan.pool, "-c", str(plan.concurrency), "-n", f"{plan.name}@%h", "-l", "INFO"]
    script = 'python -m django migrate --verbosity=0 && exec celery "$@"'
    return ["sh", "-c", script, "sh", *worker, *plan.worker_arguments]


docker_image = build(path=str(ROOT), dockerfile="tests/cluster/docker/Dockerfile", tag="celery-geventpool/smoke")

docker_database = container(
    image="postgres:16",
    environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
    command=[
        *("postgres", "-c", "log_connections=on", "-c", "log_disconnections=on"),
        *("-c", f"log_line_prefix={LOG_LINE_PREFIX}"),
    ],
    ports={"5432/tcp": None},
    network=NETWORK,
    wrapper_class=DockerDatabase,
    timeout=START_TIMEOUT,
)

docker_worker = container(
    image="{docker_image.id}",
    environment=fxtr("worker_environment"),
    command=fxtr("docker_worker_command"),
    network=NETWORK,
    wrapper_class=DockerWorker,
    timeout=START_TIMEOUT,
)

docker_beat = container(
    image="{docker_image.id}",
    environment=fxtr("beat_environment"),
    command=["celery", "-A", APP, *BEAT_ARGUMENTS],
    network=NETWORK,
    timeout=START_TIMEOUT,
)
