"""Tasks that only wait for their turn and switch to gevent's hub: what so many greenlets cost without a database."""

from __future__ import annotations

import os
import time

from subject.turns import Turns


def limit() -> int:
    """Return how many tasks go on at a time; 0 for contenders that do more."""
    return int(os.environ.get("BENCH_ONLY_SWITCHES", "0"))


class Switches:
    """A number of turns, for tasks that take one each.

    :param size: how many there are.
    """

    def __init__(self, size: int) -> None:
        self._turns = Turns(range(size))

    def run(self, _number: int) -> None:
        """Take a turn, and let others run."""
        turn = self._turns.take()
        try:
            time.sleep(0)
        finally:
            self._turns.put(turn)
