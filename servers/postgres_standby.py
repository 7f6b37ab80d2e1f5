"""A standby of a PostgreSQL server, and servers that change their parts."""

from __future__ import annotations

from servers.postgres import PostgresServer
from servers.postgres_address import SUPERUSER


class StandbyServer(PostgresServer):
    """A standby that streams from another server, and can be read from; a context manager.

    Made with `pg_basebackup`, of the same installation and with the same settings.
    """

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(bindir=primary.bindir, password=primary.password)
        self.settings.update(primary.settings)
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary, and return when it is one."""
        self.query("SELECT pg_promote()")

    def _make_cluster(self) -> None:
        primary = self._primary
        address = f"host={primary.host} port={primary.port} user={SUPERUSER} password='{primary.password}'"
        command = [str(self._programs / "pg_basebackup"), "-d", address, "-D", str(self._data)]
        self._run([*command, "-R", "-c", "fast", "--no-sync"])

    def _create_app_role(self) -> None:
        pass  # It comes from the primary.


def demote(primary: PostgresServer) -> None:
    """Restart a primary as a standby, in its place, of nobody in particular."""
    primary.stop()
    signal = primary.folder / "data" / "standby.signal"
    signal.touch()
    primary.hand_over(signal)
    primary.start()
