"""What the pool asks of a database driver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any, Literal, NamedTuple, Protocol

from .counters import StateKind
from .fleet.census import Census

#: In the server's words, those of pg_stat_activity.
ConnectionState = Literal["active", "idle", "idle in transaction"]


class Use(NamedTuple):
    """How far the use of a connection has got. Between two equal ones, nothing was sent to the server."""

    #: How many transactions were ended by the driver's ``commit`` or ``rollback``.
    ended: int
    #: How often something was begun to be sent.
    uses: int


class Driver(Protocol):
    """What opens, checks and closes connections. These are any hashable objects.

    ``connect``, ``reset``, ``look`` and ``close`` may wait on the network, and so may be interrupted by
    any BaseException; none is called under the pool's lock.
    """

    #: The package's name, for logs.
    name: str
    #: The base of the driver's errors. What else its methods raise, such as a user's timeout, is passed on.
    error: type[Exception]

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> Any:
        """Open a connection, ready for use: configured, and outside of any transaction.

        Calls ``opening`` with the connection as soon as there is something to close if this fails, and with None when
        there is nothing any more. If several attempts each call it with a connection, the pool closes the earlier.

        :param badge: what the session says of the pool in the server's list; empty for nothing.
        """

    def clear_set_up(self, connection: Any) -> None:
        """Clear what was set up in a session for somebody else, if there is any of it; that may take a round trip."""

    def kinds_kept(self, connection: Any) -> Collection[StateKind]:
        """Return the kinds of session state for which a connection in no transaction has to stay with its holder.

        The server may be asked about advisory locks.
        """

    def is_alive(self, connection: Any) -> bool:
        """Return whether an idle connection can be used, without a round trip."""

    def time_zone(self, connection: Any) -> str | None:
        """Return the time zone of the session, without a round trip; None if the server doesn't say."""

    def is_in_transaction(self, connection: Any) -> bool:
        """Return whether the server has a transaction open for the connection, without a round trip."""

    def has_not_begun(self, connection: Any, error: BaseException) -> bool:
        """Return whether the error of a statement proves that the server had not begun it; False if in doubt."""

    def reset(self, connection: Any) -> bool:
        """Make a connection that comes back fit for its next holder; False if it must be thrown away."""

    def look(self, connection: Any, badge: str) -> Census | None:
        """Read the server's session list over a clean connection; None if that failed this time.

        :param badge: what the session says of the pool from now on, unless its holder has named it; empty for nothing.
        """

    def server_of(self, connection: Any) -> Hashable:
        """Return what tells the server of an open connection from those of others, without a round trip."""

    def close(self, connection: Any) -> None:
        """Close a connection in whatever state it is, and return when the server has let go of it.

        Stops a query that still runs on it. Gives up after its own time limit. May be called again if interrupted.
        """

    def is_interrupted(self, connection: Any) -> bool:
        """Return whether its holder was interrupted in the middle of using a connection, which was severed then."""

    def state(self, connection: Any) -> ConnectionState:
        """Return what a lent connection is doing, without a round trip."""

    def use(self, connection: Any) -> Use:
        """Return how far the use of a lent connection has got, without a round trip."""

    def is_server_full(self, error: BaseException) -> bool:
        """Return whether connecting failed because the server or the role has no connection left (53300)."""
