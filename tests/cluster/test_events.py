"""Events: what workers send to each other, and to clients."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.waiting import DEADLINE

from .cluster_worker import ClusterWorker, pools_once


@pools_once()
def test_events(worker: ClusterWorker) -> None:
    count, seen = 10, []
    wanted = {"task-received": count, "task-started": count, "task-succeeded": count, "worker-heartbeat": 1}

    end = time.monotonic() + DEADLINE

    def note(event: dict[str, Any]) -> None:
        if event["hostname"] == worker.hostname and event["type"] in wanted:
            seen.append(event["type"])
        # Heartbeats never stop, so that the receiver's own timeout may never come.
        receiver.should_stop = has_all() or time.monotonic() > end

    def has_all() -> bool:
        return all(seen.count(kind) >= number for kind, number in wanted.items())

    with worker.client.connection_for_read() as connection:
        receiver = worker.client.events.Receiver(connection, handlers={"*": note})
        consumption = receiver.itercapture(timeout=DEADLINE)
        next(consumption)  # The receiver listens from here on.
        worker.send_many(count, "double", 1)
        for _ in consumption:
            pass
    assert has_all(), seen


@pools_once("gevent", "prefork")
@pytest.mark.own_worker
def test_a_new_worker_learns_from_its_neighbours(worker: ClusterWorker) -> None:
    worker.node.assert_log_exists("mingle: ")
    assert worker.control("hello", from_node="test@localhost", revoked={})["revoked"] is not None
