"""Brokers on this machine, which Redis's is as a result backend, too."""

from __future__ import annotations

from pytest_celery import RabbitMQContainer, RedisContainer

from .process_container import ProcessContainer


class _LocalServer(ProcessContainer):
    """Clients here and in workers reach it under the same address."""

    @property
    def url(self) -> str:
        return self.program.url

    @property
    def host_url(self) -> str:
        return self.program.url

    @property
    def hostname(self) -> str:
        return self.program.host

    @property
    def port(self) -> int:
        return self.program.port

    def get_addr(self, _port: str) -> tuple[str, int]:
        return self.hostname, self.port


class LocalRedis(_LocalServer, RedisContainer):
    """pytest-celery's Redis, with its client."""


class LocalRabbitMQ(_LocalServer, RabbitMQContainer):
    """pytest-celery's RabbitMQ, with its client."""
