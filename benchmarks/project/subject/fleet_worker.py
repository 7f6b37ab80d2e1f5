"""The Celery app of a fleet's worker: tasks that run a query, and send the next one; see ``subject.fleet_tasks``."""

from __future__ import annotations

import os
import threading

from subject.fleet_tasks import FLEET, Record, await_start, prepare_driver, run_query

prepare_driver()

from celery import Celery  # noqa: E402
from celery.signals import worker_ready  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "subject.settings")

# Tasks for each greenlet, so that a next one waits in the worker when one has ended.
_TASKS_A_GREENLET = 2

app = Celery("subject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(broker_url=os.environ["BENCH_BROKER"], broker_connection_retry_on_startup=True)

_records: list[Record] = []


@worker_ready.connect
def _begin(**_: object) -> None:
    threading.Thread(target=_run, daemon=True).start()


def _run() -> None:
    record = await_start()
    _records.append(record)
    for _ in range(_TASKS_A_GREENLET * FLEET["greenlets"]):
        _send_next(record)
    record.end_process()


@app.task(name="fleet.query", ignore_result=True)
def query() -> None:
    """Run a query; have the next one run, at once or when the worker is to be busy again."""
    (record,) = _records
    with record.task():
        run_query()
    _send_next(record)


def _send_next(record: Record) -> None:
    now = record.now()
    for begin, end in FLEET["busy"]:
        if now < end:
            query.apply_async(countdown=begin - now if begin > now else None, queue=f"fleet-{FLEET['number']}")
            return
