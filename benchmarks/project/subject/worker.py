"""The Celery app of the measured worker: a task for each workload, and a file with its outcome."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import django
from celery import Celery
from celery.signals import worker_init, worker_ready

from subject import persistent, switches
from subject.meter import Meter, read_plan

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "subject.settings")
if os.environ.get("BENCH_PSYCOGREEN"):
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()

app = Celery("subject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(json.loads(os.environ["BENCH_BROKER"]))

# Two log lines for each task would be a good part of what is measured.
for _name in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_folder = Path(os.environ["BENCH_OUTCOMES"])


@worker_init.connect
def _add_tasks(**_: object) -> None:
    """Define the tasks after Django is set up."""
    django.setup()
    from subject.workloads import WORKLOADS

    size = persistent.limit()
    run = persistent.Persistent(size).run if size else _run
    turns = switches.limit()
    for name, work in WORKLOADS.items():
        app.task(name=f"bench.{name}")(_make_task(name, switches.Switches(turns).run if turns else work, run))


@worker_ready.connect
def _send_tasks(**_: object) -> None:
    """Send the worker its tasks itself, where the broker is its own memory."""
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(int(os.environ.get("BENCH_SENT", "0"))):
            for name in json.loads(os.environ["BENCH_PLANS"]):
                app.send_task(f"bench.{name}", (number,), queue="bench", producer=producer, ignore_result=True)


def _run(work: Callable[[int], None], number: int) -> None:
    work(number)


@functools.cache
def _meter(workload: str) -> Meter:
    return Meter(read_plan(workload))


def _make_task(
    workload: str, work: Callable[[int], None], run: Callable[[Callable[[int], None], int], None]
) -> Callable[[int], None]:
    def task(number: int) -> None:
        meter = _meter(workload)
        meter.task_began()
        try:
            run(work, number)
        except BaseException as error:
            meter.task_ended(error)
            raise
        else:
            meter.task_ended(None)
        finally:
            if meter.is_done:
                _write(workload, meter)

    return task


def _write(workload: str, meter: Meter) -> None:
    unfinished = _folder / f"{workload}.part"
    unfinished.write_text(meter.outcome.as_json())
    unfinished.rename(_folder / f"{workload}.json")
