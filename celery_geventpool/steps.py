"""What has to happen in a worker when it starts, runs and ends, beside its signals."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import WorkController, state

from . import own_work, revoking
from .outcomes import clerk

logger = logging.getLogger("geventpool.worker")

#: How long a worker that ends waits for what it has to store when no task runs, or it is in a hurry, in seconds.
PATIENCE = 5.0


class OwnWork(bootsteps.StartStopStep):
    """Has the worker's own work give back what it takes, and done before the worker ends."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: WorkController) -> None:
        """Have tasks killed one beside the other, where that may take time."""
        if parent.pool is not None and "eventlet" in type(parent.pool).__module__:
            revoking.kill_apart(parent.pool)  # type: ignore[arg-type]

    def register_with_event_loop(self, _parent: WorkController, hub: Any) -> None:
        """Give back what callbacks took, before the loop waits for the next event."""
        hub.on_tick.add(own_work.release)

    def stop(self, _parent: WorkController) -> None:
        """Store what became of tasks, while the worker still waits for those that run, and has its broker.

        Those hold the connections that this may wait for. When none is left it takes no longer than a moment.
        """
        while not clerk().wait(PATIENCE) and state.active_requests:
            pass

    def terminate(self, _parent: WorkController) -> None:
        """The same, but not for long: nobody waits for the tasks."""
        finish()


def finish() -> None:
    """Wait a little for what is to be stored, and name what is not."""
    if not clerk().wait(PATIENCE):
        for what in clerk().pending():
            logger.error("%s: the worker ends while all its connections are in use", what)
