"""Greenlets without Celery: ``python -m subject.in_process WORKLOAD SECONDS`` prints what was measured.

100 greenlets run at a time, a new one for each task; those that have not ended after SECONDS are given up.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from subject import persistent, switches  # noqa: E402
from subject.meter import Meter, read_plan  # noqa: E402

_CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "100"))


def main(workload: str, seconds: float) -> None:
    """Measure, and print the outcome."""
    if os.environ.get("BENCH_PSYCOGREEN"):
        from psycogreen.gevent import patch_psycopg

        patch_psycopg()
    django.setup()
    from subject.workloads import WORKLOADS

    meter = Meter(read_plan(workload))
    work = WORKLOADS[workload]
    with gevent.Timeout(seconds, False):
        if persistent.limit() and not os.environ.get("BENCH_GREENLET_PER_TASK"):
            _start_persistent(work, meter)
        else:
            _start(_in_greenlet(work), meter)
    print(meter.outcome.as_json(), flush=True)
    # A greenlet that hangs must not keep the process from ending.
    os._exit(0)


def _in_greenlet(work: Callable[[int], None]) -> Callable[[int], None]:
    """Return what each task's own greenlet runs."""
    from django.db import connections

    if switches.limit():
        return switches.Switches(switches.limit()).run
    if persistent.limit():
        wrappers = persistent.Persistent(persistent.limit())
        return lambda number: wrappers.run(work, number)

    def work_and_close(number: int) -> None:
        try:
            work(number)
        finally:
            # As Celery does for Django after each task.
            connections.close_all()

    return work_and_close


def _start(work: Callable[[int], None], meter: Meter) -> None:
    pool = Pool(_CONCURRENCY)
    for number in range(meter.plan.total):
        pool.spawn(_run, work, number, meter)
    pool.join()


def _start_persistent(work: Callable[[int], None], meter: Meter) -> None:
    numbers = iter(range(meter.plan.total))

    def tasks() -> None:
        for number in numbers:
            _run(work, number, meter)

    gevent.joinall([gevent.spawn(tasks) for _ in range(persistent.limit())])


def _run(work: Callable[[int], None], number: int, meter: Meter) -> None:
    error = None
    meter.task_began()
    try:
        work(number)
    except Exception as raised:  # noqa: BLE001 (errors of all classes are counted)
        error = raised
    meter.task_ended(error)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
