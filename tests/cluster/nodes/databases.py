"""The database of the workers, which is also the result backend of some."""

from __future__ import annotations

from pytest_celery import CeleryTestContainer

from servers.postgres import PostgresServer
from servers.postgres_address import Postgres


class Database(CeleryTestContainer):  # type: ignore[misc]
    """A PostgreSQL server that logs each connection."""

    #: Its address for workers, and below for the tests.
    for_workers: Postgres
    for_tests: Postgres

    @property
    def celeryconfig(self) -> dict[str, str]:
        """Settings by which workers store results with Django, and clients read the table themselves."""
        return {
            "url": "django-db",
            "host_url": f"tests.cluster.nodes.stored_results:StoredResults+{self.for_tests.url}",
        }

    @property
    def log(self) -> str:
        return self.logs()

    def query(self, sql: str) -> list[list[str]]:
        return self.for_tests.query(sql)


class LocalDatabase(Database):
    """A server on this machine, which others start and end."""

    def __init__(self, server: PostgresServer) -> None:
        self.for_workers = self.for_tests = self._server = server

    @property
    def id(self) -> str:
        return f"{self._server.port:064x}"

    @property
    def name(self) -> str:
        return "postgres"

    @property
    def status(self) -> str:
        return "running" if self._server.is_running else "exited"

    def ready(self) -> bool:
        return self._server.is_running

    def logs(self) -> str:
        return self._server.log


class DockerDatabase(Database):
    """A server in a container of the image ``postgres``, with role and database "postgres" and no password."""

    @property
    def for_workers(self) -> Postgres:
        return Postgres(host=self.attrs["Config"]["Hostname"], port=5432, user="postgres")

    @property
    def for_tests(self) -> Postgres:
        return Postgres(host="127.0.0.1", port=self._wait_port("5432/tcp"), user="postgres")
