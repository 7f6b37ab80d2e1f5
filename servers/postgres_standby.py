"""A standby of a PostgreSQL server, and the change of roles between both."""

from __future__ import annotations

from servers.postgres import PostgresServer
from servers.postgres_address import SUPERUSER


class StandbyServer(PostgresServer):
    """A standby that streams from a primary, and answers reading queries; a context manager.

    It is made by ``pg_basebackup``, with the primary's programs and settings.
    """

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(bindir=primary.bindir, password=primary.password)
        self.settings.update(primary.settings)
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary; return when it is one."""
        self.query("SELECT pg_promote()")

    def _make_cluster(self) -> None:
        primary = self._primary
        address = f"host={primary.host} port={primary.port} user={SUPERUSER} password='{primary.password}'"
        command = [str(self._programs / "pg_basebackup"), "-d", address, "-D", str(self._data)]
        self._run([*command, "-R", "-c", "fast", "--no-sync"])

    def _create_app_role(self) -> None:
        pass  # The role comes with the primary's data.


def demote(primary: PostgresServer) -> None:
    """Restart a primary as a standby on the same port, without a primary to stream from."""
    primary.stop()
    signal = primary.folder / "data" / "standby.signal"
    signal.touch()
    primary.hand_over(signal)
    primary.start()
