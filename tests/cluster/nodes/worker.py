"""Workers and beat on this machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import celery
from pytest_celery import CeleryWorkerContainer

from servers.celery_worker import CeleryWorker
from servers.logged_process import LoggedProcess
from tests.smoke.environment import PROJECT_FOLDER, python_path

from .plans import WorkerPlan
from .process_container import ProcessContainer, new_id

APP = "smoke_project.celery"


class LocalWorker(ProcessContainer, CeleryWorkerContainer):
    """A worker with its log in ``folder``. pytest-celery identifies it by its name and its container's id."""

    def __init__(self, plan: WorkerPlan, environment: Mapping[str, str], folder: Path) -> None:
        self._plan = plan
        container_id = new_id()
        program = CeleryWorker(
            APP,
            pool=plan.pool,
            concurrency=plan.concurrency,
            cwd=PROJECT_FOLDER,
            env={**environment, **python_path()},
            arguments=plan.worker_arguments,
            hostname=f"{plan.name}@{container_id[:12]}",
            log_file=folder / f"{plan.name}.log",
        )
        super().__init__(program, plan.name, container_id)

    def worker_name(self) -> str:
        return self._plan.name

    def worker_queue(self) -> str:
        return self._plan.queue

    def version(self) -> str:
        return celery.__version__


class _Beat(LoggedProcess):
    ready = re.compile("beat: Starting")


BEAT_ARGUMENTS = ("beat", "-S", "django", "--max-interval", "1", "-l", "INFO", "--pidfile=")


def local_beat(name: str, environment: Mapping[str, str], folder: Path) -> ProcessContainer:
    """Return a beat whose schedule is in the database."""
    command = [sys.executable, "-m", "celery", "-A", APP, *BEAT_ARGUMENTS]
    beat = _Beat(command, log_file=folder / f"{name}.log", cwd=PROJECT_FOLDER, env={**environment, **python_path()})
    return ProcessContainer(beat, name)
