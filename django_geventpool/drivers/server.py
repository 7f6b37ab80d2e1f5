"""What the PostgreSQL server is asked for and says, whichever driver carries it."""

from __future__ import annotations

import os
import re
from typing import Any

#: Parameters that point to settings elsewhere.
_ELSEWHERE = frozenset(("conninfo", "dsn", "service"))
#: How long to wait for a server to confirm that a connection is closed, in seconds.
CLOSE_TIMEOUT = 5.0
#: How long to wait for that after a refusal, before the next attempt, in seconds. A server that refuses us hangs up at
#: once, but on a busy host its process may take a while to be gone: until then it counts one connection more. One that
#: has said nothing at all is not waited for.
FAILED_CLOSE_TIMEOUT = 2.0

#: On Linux; other systems' are lower.
_HIGHEST_PID = 2**22

_FULL = re.compile(
    r"sorry, too many clients already"
    r"|too many connections for (role|database)"
    r"|remaining connection slots are reserved"
    # PgBouncer's words for the same.
    r"|no more connections allowed"
    r"|client connections exceeded"
    r"|query_wait_timeout"
)
#: In a failed connect's message: an error that the server has sent, after its severity. One that only hangs up has
#: refused nothing; the network does that, too.
_ANSWERED = re.compile(r"\S:  \S")
#: A server that starts or stops, and will take us in a moment.
_PASSES = re.compile(r"the database system is ")
_LOGIN_REFUSED = re.compile(r"authentication failed|\bpassword\b", re.IGNORECASE)


def is_full(message: str) -> bool:
    """Return whether a connect failed because the server, the database or the role has no connection left (53300)."""
    return _FULL.search(message) is not None


def is_check_interval_refused(message: str) -> bool:
    """Return whether a connect failed because of ``client_connection_check_interval``.

    PostgreSQL before 14 and servers on other systems than Linux don't know it; PgBouncer lets no options pass.
    """
    return "client_connection_check_interval" in message or "unsupported startup parameter" in message


def may_be_check_interval(message: str, is_known: bool) -> bool:
    """Return whether a connect may succeed without ``client_connection_check_interval``.

    :param is_known: whether one has succeeded with it.
    """
    if is_check_interval_refused(message):
        return True
    says_nothing_of_it = is_full(message) or is_login_refused(message) or _PASSES.search(message)
    return not is_known and is_answer(message) and not says_nothing_of_it


def is_answer(message: str) -> bool:
    """Return whether a connect failed by an error that the server has sent."""
    return _ANSWERED.search(message) is not None


def is_login_refused(message: str) -> bool:
    """Return whether a server has refused the login: to try again, or elsewhere, may lock the account."""
    return _LOGIN_REFUSED.search(message.rpartition(" failed: ")[2]) is not None


def add_check_interval(parameters: dict[str, Any], seconds: float) -> bool:
    """Make the server look after its client during queries; False if the user may have set that elsewhere."""
    options = parameters.get("options") or os.environ.get("PGOPTIONS", "")
    is_elsewhere = _ELSEWHERE & parameters.keys() or "PGSERVICE" in os.environ
    if "client_connection_check_interval" in options or is_elsewhere:
        return False
    milliseconds = max(1, round(seconds * 1000))
    parameters["options"] = f"{options} -c client_connection_check_interval={milliseconds}".lstrip()
    return True


def is_made_up(pid: int) -> bool:
    """Return whether no process has the id that a server has told: poolers tell a random number of 32 bits."""
    return not 0 < pid <= _HIGHEST_PID


def is_idle_too_long(message: str) -> bool:
    """Return whether the server ended a session for having been idle (57P05)."""
    return "terminating connection due to idle-session timeout" in message


#: Selects the session list as one text, which ``census.parse`` reads: the own process, and whether its name is shown;
#: the limits of the role, the database and the server, less than 0 for none; then a line for each group of sessions
#: that have role, database and name in common: the application's, or of other roles the role's. Names of roles are sent
#: as bytes in ASCII, as they may be in the encoding of another database. It needs no rights. Without the right to see
#: them, other roles' background workers may be taken for clients, or the other way round; the numbers of the own role
#: are exact. An age of less than 0 is hidden, as all are from a session that has assumed a role without that right.
#: Types have their schema too: a temporary table may have the name of one.
_SESSION_LIST_QUERY = """
SELECT pg_catalog.concat_ws(
    pg_catalog.chr(10),
    pg_catalog.concat_ws(
        ' ', pg_catalog.pg_backend_pid(), named.is_shown,
        CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END,
        CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END,
        pg_catalog.current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
            pg_catalog.current_setting('superuser_reserved_connections')::int
            + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int
        END
    ),
    (
        SELECT pg_catalog.string_agg(
            pg_catalog.concat_ws(
                ' ', number, role = r.oid, is_own_database, age, newest, CASE WHEN role = r.oid THEN name ELSE
                    pg_catalog.encode(pg_catalog.replace(pg_catalog.replace(
                        pg_catalog.pg_get_userbyid(role)::pg_catalog.text, pg_catalog.chr(92), '?'
                    ), pg_catalog.chr(10), '?')::pg_catalog.bytea, 'escape')
                END
            ), pg_catalog.chr(10)
        )
        FROM (
            SELECT pg_catalog.count(*) AS number, usesysid AS role, datid = d.oid AS is_own_database,
                coalesce(pg_catalog.round(extract(
                    epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(backend_start)
                )::numeric, 3), -1) AS age,
                coalesce(pg_catalog.round(extract(
                    epoch FROM pg_catalog.clock_timestamp() - pg_catalog.max(backend_start)
                )::numeric, 3), -1) AS newest,
                CASE WHEN usesysid = r.oid THEN coalesce(application_name, '') ELSE '' END AS name
            FROM pg_catalog.pg_stat_get_activity(NULL)
            WHERE (backend_type = 'client backend' OR backend_type IS NULL) AND datid IS NOT NULL
                AND usesysid IS NOT NULL
            GROUP BY 2, 3, 6
        ) AS sessions
    )
)
FROM pg_catalog.pg_roles AS r, pg_catalog.pg_database AS d, (
    SELECT %s IS NOT NULL AS is_shown OFFSET 0
) AS named
WHERE r.rolname = session_user AND d.datname = pg_catalog.current_database()
"""
#: Encloses a session's name, whatever is in it.
_QUOTE = "$name$"


def session_list_query(name: str | None) -> str:
    """Return the query of the session list, which gives the session a name first, unless that is None."""
    if name is None or _QUOTE in name:
        return _SESSION_LIST_QUERY % "pg_catalog.current_setting('application_name')"
    return _SESSION_LIST_QUERY % f"pg_catalog.set_config('application_name', {_QUOTE}{name}{_QUOTE}, false)"
