"""The nodes on this machine that tests share; the first test that needs one starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from servers.rabbitmq import RabbitMQNotFound, RabbitMQServer
from servers.redis import RedisNotFound, RedisServer

from .plans import WorkerPlan
from .process_container import ProcessContainer
from .servers import LocalRabbitMQ, LocalRedis
from .worker import LocalWorker

Node = TypeVar("Node", bound=ProcessContainer)


class RunningNodes:
    """Brokers, result backends and workers.

    :param stack: ends them.
    :param folder: the folder of the workers' logs.
    """

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        self._stack = stack
        self._nodes: dict[str, ProcessContainer] = {}

    def rabbitmq(self) -> LocalRabbitMQ:
        return self._get("rabbitmq", self._start_rabbitmq)

    def redis(self, name: str) -> LocalRedis:
        return self._get(name, lambda: self._start_redis(name))

    def worker(self, plan: WorkerPlan, environment: Mapping[str, str]) -> LocalWorker:
        return self._get(plan.name, lambda: self._start_worker(plan, environment))

    def _get(self, name: str, start: Callable[[], Node]) -> Node:
        if name not in self._nodes:
            self._nodes[name] = start()
        node = self._nodes[name]
        if node.status != "running":  # A test has ended it, and the next one needs it.
            node.restart()
        return node

    def _start_rabbitmq(self) -> LocalRabbitMQ:
        try:
            server = RabbitMQServer()
        except RabbitMQNotFound as error:
            pytest.skip(str(error))
        return LocalRabbitMQ(self._stack.enter_context(server), "rabbitmq")

    def _start_redis(self, name: str) -> LocalRedis:
        try:
            server = RedisServer()
        except RedisNotFound as error:
            pytest.skip(str(error))
        return LocalRedis(self._stack.enter_context(server), name)

    def _start_worker(self, plan: WorkerPlan, environment: Mapping[str, str]) -> LocalWorker:
        worker = LocalWorker(plan, environment, self.folder)
        self._stack.callback(worker.remove)
        return worker
