"""How a pool gets connections of its kind out of psycopg's own ``connect``."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import PQGenConn

from .connect_call import current_connect_call
from .psycopg_connection import PsycopgConnection


def open_behind_doors() -> None:
    """Make psycopg's ``connect`` open connections of the pool's kind if it is a pool that has called it.

    However ``connect`` is wrapped, the method replaced here opens one connection to one address.
    """
    original = psycopg.Connection._connect_gen.__func__  # type: ignore[attr-defined]  # noqa: SLF001

    def connect_gen(cls: type[psycopg.Connection[Any]], /, conninfo: str = "", **kwargs: Any) -> PQGenConn[Any]:
        call = current_connect_call()
        if call is None:
            return (yield from original(cls, conninfo, **kwargs))
        # Another library may have put its own class in the place of psycopg's.
        kind: type[PsycopgConnection] = (
            PsycopgConnection
            if issubclass(PsycopgConnection, cls)
            else type(cls.__name__, (PsycopgConnection, cls), {"__module__": cls.__module__})
        )
        return kind.open(conninfo, call)

    psycopg.Connection._connect_gen = classmethod(connect_gen)  # type: ignore[assignment, method-assign]  # noqa: SLF001
