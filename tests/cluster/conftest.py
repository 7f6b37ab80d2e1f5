"""pytest-celery's fixtures with our own nodes: on this machine or, with --docker, in Docker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import docker
import pytest
from celery import Celery
from pytest_celery import (
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestContainer,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerContainer,
)

from servers.postgres import PostgresServer
from tests.smoke.watched_server import migrate, watched_server

from .cluster_worker import ClusterWorker
from .nodes.databases import Database, LocalDatabase
from .nodes.docker import docker_beat, docker_database, docker_image, docker_worker, worker_command  # noqa: F401
from .nodes.plans import APPS, ARRANGEMENTS, Arrangement, WorkerPlan
from .nodes.running import RunningNodes
from .nodes.worker import LocalWorker, local_beat

_numbers = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--docker", action="store_true", help="have the nodes in Docker instead of on this machine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "own_worker(*arguments, processes): the worker is for this test alone, with more on its command line, and that "
        "many of its processes may have connections",
    )
    if config.getoption("--docker"):
        try:
            docker.from_env().ping()
        except docker.errors.DockerException as error:
            raise pytest.UsageError(f"--docker: no Docker engine answers, start one ({error})") from error


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """The database of the workers on this machine, whose log tells of each connection."""
    with watched_server() as server:
        yield server


@pytest.fixture(scope="session")
def in_docker(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--docker"))


@pytest.fixture(params=ARRANGEMENTS, ids=str)
def arrangement(request: pytest.FixtureRequest) -> Arrangement:
    """The broker, result backend and class of pool of the cluster; ``pools`` selects some."""
    return request.param


@pytest.fixture
def plan(request: pytest.FixtureRequest, arrangement: Arrangement) -> WorkerPlan:
    """The plan of the worker that tests share, or of the test's own if it is marked so."""
    shared = WorkerPlan.of(arrangement)
    own = request.node.get_closest_marker("own_worker")
    if own is None:
        return shared
    return shared.changed(f"{arrangement}-{next(_numbers)}", own.args, own.kwargs.get("processes"))


# Nodes on this machine


@pytest.fixture(scope="session")
def running_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNodes]:
    with ExitStack() as stack:
        yield RunningNodes(stack, tmp_path_factory.mktemp("nodes"))


@pytest.fixture(scope="session")
def local_database(server: PostgresServer) -> LocalDatabase:
    """The server of the smoke tests, with the tables of all apps."""
    migrate(server, APPS)
    return LocalDatabase(server)


# Nodes on this machine or in Docker: pytest-celery's fixtures of the same names are those in Docker


@pytest.fixture
def database(request: pytest.FixtureRequest, in_docker: bool) -> Database:
    if not in_docker:
        return request.getfixturevalue("local_database")
    database = request.getfixturevalue("docker_database")
    database.query("CREATE TABLE gates (name text)")
    return database


@pytest.fixture
def default_rabbitmq_broker(request: pytest.FixtureRequest, in_docker: bool) -> CeleryTestContainer:
    if in_docker:
        return request.getfixturevalue("default_rabbitmq_broker")
    return request.getfixturevalue("running_nodes").rabbitmq()


@pytest.fixture
def default_redis_broker(request: pytest.FixtureRequest, in_docker: bool) -> CeleryTestContainer:
    if in_docker:
        return request.getfixturevalue("default_redis_broker")
    return request.getfixturevalue("running_nodes").redis("redis broker")


@pytest.fixture
def default_redis_backend(request: pytest.FixtureRequest, in_docker: bool) -> CeleryTestContainer:
    if in_docker:
        return request.getfixturevalue("default_redis_backend")
    return request.getfixturevalue("running_nodes").redis("redis backend")


@pytest.fixture
def worker_environment(plan: WorkerPlan, database: Database, celery_worker_cluster_config: dict) -> dict[str, str]:
    environment = plan.environment(database.for_workers, celery_worker_cluster_config, plan.name)
    return {**environment, "WORKER_NAME": plan.name}


@pytest.fixture
def docker_worker_command(plan: WorkerPlan) -> list[str]:
    return worker_command(plan)


@pytest.fixture
def default_worker_container(
    request: pytest.FixtureRequest, in_docker: bool, plan: WorkerPlan, worker_environment: dict[str, str]
) -> Iterator[CeleryWorkerContainer]:
    if in_docker:
        yield request.getfixturevalue("docker_worker")
    elif request.node.get_closest_marker("own_worker") is None:
        yield request.getfixturevalue("running_nodes").worker(plan, worker_environment)
    else:
        worker = LocalWorker(plan, worker_environment, request.getfixturevalue("running_nodes").folder)
        yield worker
        worker.remove()


# The cluster


@pytest.fixture
def celery_broker(request: pytest.FixtureRequest, arrangement: Arrangement) -> CeleryTestBroker:
    return request.getfixturevalue(f"celery_{arrangement.broker}_broker")


@pytest.fixture
def celery_django_backend(database: Database) -> CeleryTestBackend:
    """The result backend in the database, which pytest-celery doesn't have."""
    return CeleryTestBackend(database)


@pytest.fixture
def celery_backend(request: pytest.FixtureRequest, arrangement: Arrangement) -> CeleryTestBackend:
    return request.getfixturevalue(f"celery_{arrangement.backend}_backend")


@pytest.fixture
def celery_worker(celery_setup_worker: CeleryTestWorker) -> CeleryTestWorker:
    return celery_setup_worker


@pytest.fixture
def celery_setup_app(celery_setup_app: Celery, plan: WorkerPlan) -> Iterator[Celery]:
    """The Celery app, which sends to the queue of the test's worker."""
    celery_setup_app.conf.task_default_queue = plan.queue
    with celery_setup_app:
        yield celery_setup_app


@pytest.fixture
def celery_setup(celery_setup: CeleryTestSetup, plan: WorkerPlan, database: Database) -> Iterator[CeleryTestSetup]:
    """The setup. After each test, no connection may be in use, and there must never have been more than allowed."""
    worker = ClusterWorker(celery_setup, plan, database)
    worker.await_answer()
    yield celery_setup
    worker.assert_bounded_and_quiet()


@pytest.fixture
def worker(celery_setup: CeleryTestSetup, plan: WorkerPlan, database: Database) -> ClusterWorker:
    """The worker of ``celery_setup``, whose connections are watched."""
    return ClusterWorker(celery_setup, plan, database)


@pytest.fixture
def beat_environment(plan: WorkerPlan, database: Database, celery_worker_cluster_config: dict) -> dict[str, str]:
    return plan.environment(database.for_workers, celery_worker_cluster_config, f"{plan.name}-beat")


@pytest.fixture
def beat(
    request: pytest.FixtureRequest, in_docker: bool, plan: WorkerPlan, beat_environment: dict[str, str]
) -> Iterator[Any]:
    """A beat whose schedule is in the database, for the worker's project."""
    if in_docker:
        yield request.getfixturevalue("docker_beat")
        return
    pytest.importorskip("django_celery_beat", reason="pip install django-celery-beat")
    beat = local_beat(f"{plan.name}-beat", beat_environment, request.getfixturevalue("running_nodes").folder)
    yield beat
    beat.remove()
