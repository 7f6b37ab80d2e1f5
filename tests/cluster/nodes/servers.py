"""Brokers on this machine; Redis is also a result backend."""

from __future__ import annotations

from pytest_celery import RabbitMQContainer, RedisContainer

from .process_container import ProcessContainer


class _LocalServer(ProcessContainer):
    """A server with the same address for the tests' clients and for workers."""

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
    """Redis, with pytest-celery's client."""


class LocalRabbitMQ(_LocalServer, RabbitMQContainer):
    """RabbitMQ, with pytest-celery's client."""
