"""The Celery app of a worker whose tasks meet faults; see ``subject.faults_control``."""

from __future__ import annotations

import json
import os
import threading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "subject.settings")
if os.environ.get("BENCH_PSYCOGREEN"):
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()

from celery import Celery
from celery.signals import worker_ready

from subject.faults_control import Control, Task

app = Celery("subject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(json.loads(os.environ["BENCH_BROKER"]), broker_connection_retry_on_startup=True)


class Worker:
    """Has tasks run by this worker itself."""

    def start(self, task: Task) -> None:
        """Send a task."""
        task.handle = run.apply_async((task.number,), time_limit=task.time_limit).id

    def kill(self, tasks: list[Task]) -> None:
        """Revoke tasks."""
        app.control.revoke([task.handle for task in tasks], terminate=True)


control = Control(Worker())


@app.task(name="faults.run")
def run(number: int) -> None:
    """Run a task of the orders."""
    task = control.tasks[number]
    try:
        task.run()
    finally:
        task.end()


@worker_ready.connect
def _begin(**_: object) -> None:
    threading.Thread(target=control.obey, daemon=True).start()
