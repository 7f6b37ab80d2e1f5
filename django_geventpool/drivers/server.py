"""What the PostgreSQL server is asked for and says, whichever driver carries it."""

from __future__ import annotations

import re

#: How often a server looks whether the client of a running query is still there, in milliseconds.
CHECK_INTERVAL = 2000
#: How long to wait for a server to confirm that a connection is closed, in seconds.
CLOSE_TIMEOUT = 5.0

_FULL = re.compile(
    r"sorry, too many clients already"
    r"|too many connections for (role|database)"
    r"|remaining connection slots are reserved"
    # PgBouncer's words for the same.
    r"|no more connections allowed"
)


def is_full(message: str) -> bool:
    """Tell whether a connect failed because the server, the database or the role has no connection left (53300)."""
    return _FULL.search(message) is not None


def is_check_interval_refused(message: str) -> bool:
    """Tell whether a connect failed because of ``client_connection_check_interval``.

    PostgreSQL before 14 and servers on other systems than Linux don't know it; PgBouncer lets no options pass.
    """
    return "client_connection_check_interval" in message or "unsupported startup parameter" in message
