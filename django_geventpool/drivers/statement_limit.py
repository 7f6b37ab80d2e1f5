"""The server's ``statement_timeout``, set to what the time limits of a task leave (STATEMENT_TIMEOUT_FROM_TASK).

It is set for the present transaction only, by a statement in the same message as the one that it is for: that costs no
round trip, and leaves nothing in the session that could be reset, or that another client of a pooler could get. Outside
of transactions, one message is one transaction.
"""

from __future__ import annotations

import math
import re
import time

from ..pool import time_limits

#: How old the timeout that is set for a transaction may be before it is set again (seconds): a statement may take so
#: much longer than is left.
_MAX_AGE = 1.0
#: libpq's PQTransactionStatus.
_IDLE, _IN_TRANSACTION = 0, 2
#: The longest timeout that the server takes (seconds).
_LONGEST = (2**31 - 1) // 1000
#: How much of a statement shows its kind, perhaps after comments (characters).
BEGINNING = 4096

#: The statements that are limited. Others may be some that can't be in one transaction with another statement.
_LIMITED = re.compile(
    r"(?:[\s(]|/\*(?:[^*]|\*(?!/))*\*/|--[^\n]*\n)*(?:select|insert|update|delete|merge|with|values|table)\b",
    re.IGNORECASE,
)
#: What may set a timeout of the user's own: names anywhere in a statement, and how others begin.
_SETTING = ("statement_timeout", "set_config", "pg_settings")
_CALLING = re.compile(r"\W*(?:do|call|execute)\b")

#: What the server is asked when a connection is opened.
QUESTION = "SHOW statement_timeout"
#: The usual SQL; and that before which a lower timeout of the user's stays, which takes the server several times as
#: long. On a line of its own, for the server's messages to show the user's line only.
_SET = "SET LOCAL statement_timeout = {};\n"
_LOWER = (
    "SELECT pg_catalog.set_config('statement_timeout', least({}, nullif(extract(epoch from"
    " pg_catalog.current_setting('statement_timeout')::interval) * 1000, 0))::int::text, true);\n"
)
_BEFORE = re.compile(
    rb"\A(?:%b)" % b"|".join(re.escape(sql.encode()).replace(rb"\{\}", rb"\d+") for sql in (_SET, _LOWER))
)


class StatementLimit:
    """What is known of one connection's ``statement_timeout``.

    :param configured: what the server has answered to QUESTION when it was opened.
    """

    __slots__ = ("_ended", "_may_be_lower", "_set_at", "drops_result")

    def __init__(self, configured: str) -> None:
        #: Whether the role or the user may have set a timeout that is lower.
        self._may_be_lower = configured != "0"
        #: When one was set for the transaction (monotonic seconds); None if it isn't.
        self._set_at: float | None = None
        #: How many transactions and savepoints the driver's methods had ended then.
        self._ended = 0
        #: Whether the first result of what was sent last is not the user's. Only psycopg 3 needs to know.
        self.drops_result = False

    def begin(self, status: int, ended: int) -> None:
        """Record that a statement comes next.

        :param status: libpq's, before it and before a BEGIN that goes before it.
        :param ended: how many transactions and savepoints the driver's methods have ended (``SessionState.ended``).
        """
        if status == _IDLE or ended != self._ended:
            self._set_at = None
            self._ended = ended

    def sql_before(self, statement: str, status: int) -> str:
        """Return the SQL that is to be executed before a statement, in its transaction; empty for none.

        :param status: libpq's, as for ``begin``, or after the BEGIN.
        """
        self._may_be_lower = self._may_be_lower or _may_set_timeout(statement.lower())
        if not _LIMITED.match(statement):
            self._set_at = None  # It may undo that, as ROLLBACK TO SAVEPOINT does.
            return ""
        now = time.monotonic()
        if status not in (_IDLE, _IN_TRANSACTION) or (self._set_at is not None and now < self._set_at + _MAX_AGE):
            return ""
        limits = time_limits.current()
        left = None if limits is None else limits.left_to_execute()
        if left is None:
            return ""
        self._set_at = now
        milliseconds = max(1, math.floor(min(left, _LONGEST) * 1000))
        return (_LOWER if self._may_be_lower else _SET).format(milliseconds)


def _may_set_timeout(statement: str) -> bool:
    return any(name in statement for name in _SETTING) or _CALLING.match(statement) is not None


def without_limit(sent: bytes | None) -> bytes | None:
    """Return the user's part of what was sent to the server."""
    return sent if sent is None else _BEFORE.sub(b"", sent, count=1)
