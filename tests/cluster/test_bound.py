"""Tasks share a few connections, on each broker and in each class of pool."""

from __future__ import annotations

from .cluster_worker import ClusterWorker, results_of


def test_many_tasks_at_once(worker: ClusterWorker) -> None:
    gate = worker.new_gate()
    tasks = worker.send_many(worker.concurrency, "query_until", gate)
    worker.await_active(worker.at_once)
    worker.open_gate(gate)
    assert len(set(results_of(tasks))) <= worker.bound


def test_the_greenlets_and_threads_of_tasks(worker: ClusterWorker) -> None:
    for _process, pids in results_of(worker.send_many(4, "fan_out", 10)):
        assert len(pids) == 10
        assert len(set(pids)) <= worker.limit
