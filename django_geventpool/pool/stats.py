"""The pool's numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolStats:
    """A snapshot of one pool.

    ``size`` is ``in_use + idle + connecting + closing``: a connection counts until the server has let go of it.
    """

    #: Hard limit of server connections.
    limit: int
    #: Connections that the server may count.
    size: int
    #: Lent to greenlets or threads.
    in_use: int
    #: Open, and waiting for work.
    idle: int
    #: Being opened.
    connecting: int
    #: Being closed.
    closing: int
    #: Greenlets or threads that wait for a connection.
    waiting: int
    #: Who has held a connection for longest, None when nobody holds one.
    longest_holder: str | None
    #: For how long, in seconds.
    longest_held: float
    #: Connections opened since the pool was made.
    connects: int
    #: Connections taken back from greenlets or threads that ended without giving them back.
    reclaimed: int

    def __str__(self) -> str:
        text = f"limit {self.limit}, in use {self.in_use}, idle {self.idle}, waiting {self.waiting}"
        for count, name in ((self.connecting, "connecting"), (self.closing, "closing")):
            if count:
                text += f", {name} {count}"
        if self.longest_holder is not None:
            text += f", longest holder {self.longest_holder} for {self.longest_held:.1f} s"
        return text
