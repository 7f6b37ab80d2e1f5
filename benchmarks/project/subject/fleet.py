"""A worker of a fleet, without Celery: ``python -m subject.fleet``; see ``subject.fleet_tasks``."""

import json
import os

FLEET = json.loads(os.environ["FLEET"])

if FLEET["framework"] == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif FLEET["framework"] == "eventlet":
    import eventlet

    eventlet.monkey_patch()

import threading  # noqa: E402
import time  # noqa: E402

from subject.fleet_tasks import Record, await_start, prepare_driver, run_query  # noqa: E402


def main() -> None:
    """Run the queries as scheduled."""
    prepare_driver()
    import django

    django.setup()
    record = await_start()
    for _ in range(FLEET["greenlets"]):
        # In a patched process, threads are greenlets.
        threading.Thread(target=_work, args=(record,), daemon=True).start()
    record.end_process()


def _work(record: Record) -> None:
    for begin, end in FLEET["busy"]:
        time.sleep(max(0.0, begin - record.now()))
        while record.now() < end:
            with record.task():
                run_query()


if __name__ == "__main__":
    main()
