"""What this package does in a worker at moments for which Celery has no signal."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import WorkController, state

from . import own_work, revoking
from .outcomes import clerk

logger = logging.getLogger("geventpool.worker")

#: How long a worker that ends waits for outcomes to be stored when no task runs, or it is in a hurry (seconds).
PATIENCE = 5.0


class OwnWork(bootsteps.StartStopStep):
    """Gives back the connections of the worker's own work, which is finished before the worker ends."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: WorkController) -> None:
        """Make eventlet's pool kill tasks without waiting for each."""
        if parent.pool is not None and "eventlet" in type(parent.pool).__module__:
            revoking.kill_apart(parent.pool)  # type: ignore[arg-type]

    def register_with_event_loop(self, _parent: WorkController, hub: Any) -> None:
        """Make the loop give back what its callbacks took, before it waits for the next event."""
        hub.on_tick.add(own_work.release)

    def stop(self, _parent: WorkController) -> None:
        """Wait until outcomes are stored, while tasks still run and the broker is still connected.

        Those tasks may hold the connections that this waits for. Once none runs, it waits for ``PATIENCE`` at the most.
        """
        while not clerk().wait(PATIENCE) and state.active_requests:
            pass

    def terminate(self, _parent: WorkController) -> None:
        """Wait for ``PATIENCE`` at the most, as nobody waits for the tasks."""
        finish()


def finish() -> None:
    """Wait a little for outcomes to be stored, and log those that are not."""
    if not clerk().wait(PATIENCE):
        for what in clerk().pending():
            logger.error("%s: the worker ends while all its connections are in use", what)
