"""Greenlets that meet faults, without Celery: ``python -m subject.faults``; see ``subject.faults_control``."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402

from subject.faults_control import Control, Task  # noqa: E402


class Greenlets:
    """Runs each task in a greenlet of its own, which ends as Celery ends a task for Django."""

    def start(self, task: Task) -> None:
        """Start a task."""
        task.handle = gevent.spawn(self._run, task)

    def kill(self, tasks: list[Task]) -> None:
        """Kill tasks, without waiting for their ends."""
        for task in tasks:
            task.handle.kill(block=False)

    def _run(self, task: Task) -> None:
        from django.db import connections

        try:
            task.run()
        except (Exception, gevent.Timeout, gevent.GreenletExit):  # noqa: BLE001 (it was noted)
            pass
        finally:
            try:
                connections.close_all()
            finally:
                task.end()


def main() -> None:
    """Obey until the judge leaves."""
    if os.environ.get("BENCH_PSYCOGREEN"):
        from psycogreen.gevent import patch_psycopg

        patch_psycopg()
    django.setup()
    Control(Greenlets()).obey()
    # A greenlet that hangs must not keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main()
