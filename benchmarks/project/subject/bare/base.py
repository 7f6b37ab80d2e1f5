"""Django's engine over a queue of connections, which keeps none of a pool's laws.

Tasks wait where they wait for any pool: in the middle of a query, in Django's connect. Nothing limits the wait, and no
connection is reset, looked at, counted or reclaimed.
"""

from __future__ import annotations

import functools
from typing import Any

from django.db.backends.postgresql import base

from subject.turns import Turns


@functools.cache
def _queue(size: int) -> Turns:
    """Return the free connections; None stands for one that is opened when it is first taken."""
    return Turns([None] * size)


class DatabaseWrapper(base.DatabaseWrapper):
    """A wrapper whose connection comes from the queue, and goes back there when Django closes it."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take a connection, or wait for one."""
        return self._free.take() or super().get_new_connection(conn_params)

    def _close(self) -> None:
        if self.connection is not None:
            self._free.put(self.connection)

    @property
    def _free(self) -> Turns:
        return _queue(self.settings_dict["SIZE"])
