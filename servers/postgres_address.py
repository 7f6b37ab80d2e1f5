"""The address of a PostgreSQL server, and queries that don't go through a driver."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote, unquote, urlsplit

from servers.postgres_binaries import find_bindir
from servers.postgres_protocol import NotTrustedError, ServerError, run

MAINTENANCE_DATABASE = "postgres"
SUPERUSER = "postgres"
#: The application name of ``Postgres.query``'s sessions, which the server may list for a moment afterwards.
QUERY_SESSION = "Postgres.query"

_FIELD_SEPARATOR = "\x1f"
_RECORD_SEPARATOR = "\x1e"


class Dsn(TypedDict):
    """Connection parameters, by libpq's names."""

    host: str
    port: int
    user: str
    password: str
    dbname: str


class QueryError(RuntimeError):
    """A statement given to ``Postgres.query`` failed; the message is the server's or psql's."""


class Postgres:
    """A PostgreSQL server that is running somewhere: its address, and queries.

    ``query`` shares no driver with the code under test: it speaks the protocol itself where no password is needed, and
    starts psql otherwise.

    :param query_user: the role that ``query`` connects as; by default ``user``.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        password: str = "",
        dbname: str = MAINTENANCE_DATABASE,
        query_user: str | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.dbname = dbname
        self.query_user = query_user or user

    @classmethod
    def from_url(cls, url: str) -> Postgres:
        """Return the server at postgresql://user:password@host:port/dbname."""
        parts = urlsplit(url)
        return Postgres(
            host=parts.hostname or "localhost",
            port=parts.port or 5432,
            user=unquote(parts.username or SUPERUSER),
            password=unquote(parts.password or ""),
            dbname=unquote(parts.path.lstrip("/")) or MAINTENANCE_DATABASE,
        )

    @property
    def dsn(self) -> Dsn:
        """Connection parameters of the application's role: keyword arguments for a driver's ``connect``."""
        return Dsn(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=self.dbname,
        )

    @property
    def url(self) -> str:
        """The connection parameters as a URL, postgresql://user[:password]@host:port/dbname."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        user = quote(self.user, safe="")
        return f"postgresql://{user}{password}@{self.host}:{self.port}/{quote(self.dbname, safe='')}"

    def query(self, sql: str, *, dbname: str | None = None, timeout: float = 30.0) -> list[list[str]]:
        """Run SQL and return the rows as text, NULL as "".

        Several statements, separated by semicolons, run in one transaction; at most one of them may return rows.

        :raises QueryError: with the server's message, or when there is no answer in ``timeout`` seconds.
        """
        if not self.password:
            try:
                return run(
                    sql,
                    host=self.host,
                    port=self.port,
                    user=self.query_user,
                    dbname=dbname or self.dbname,
                    application_name=QUERY_SESSION,
                    timeout=timeout,
                )
            except NotTrustedError:
                pass  # psql may find a password or a certificate.
            except (ServerError, OSError) as error:
                raise QueryError(str(error)) from error
        return self._query_by_psql(sql, dbname or self.dbname, timeout)

    def _query_by_psql(self, sql: str, dbname: str, timeout: float) -> list[list[str]]:
        command = [str(self._psql()), "-XAtqw", "-v", "ON_ERROR_STOP=1"]
        command += ["-F", _FIELD_SEPARATOR, "-R", _RECORD_SEPARATOR]
        command += ["-h", self.host, "-p", str(self.port), "-U", self.query_user]
        command += ["-d", dbname, "-c", sql]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment["PGAPPNAME"] = QUERY_SESSION
        if self.password:
            environment["PGPASSWORD"] = self.password
        try:
            result = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise QueryError(f"psql has not ended in {timeout:g} s") from error
        if result.returncode != 0:
            raise QueryError(result.stderr.strip() or f"psql ended with {result.returncode}")
        if not result.stdout:
            return []
        output = result.stdout.removesuffix("\n")
        return [row.split(_FIELD_SEPARATOR) for row in output.split(_RECORD_SEPARATOR)]

    def _psql(self) -> Path:
        return find_bindir() / "psql"
