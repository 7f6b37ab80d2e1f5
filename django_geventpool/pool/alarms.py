"""What a pool warns about in the log."""

from __future__ import annotations

import logging
import math
import time
import traceback

from .housekeeper import speak
from .stats import PoolStats

logger = logging.getLogger("geventpool.pool")

#: How long somebody has to wait for a connection until the log says so, in seconds.
WAIT_WARNING_AFTER = 5.0
#: How long nothing more is said of that, in seconds.
WAIT_WARNING_PAUSE = 60.0


class Alarms:
    """The warnings of one pool.

    :param name: the pool's alias.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        #: When waits may be warned about again (monotonic seconds).
        self._quiet_until = 0.0

    def wait_is_due(self, since: float | None) -> float:
        """When to warn of somebody who has waited since then (monotonic seconds); never of nobody."""
        return math.inf if since is None else max(since + WAIT_WARNING_AFTER, self._quiet_until)

    def is_to_warn_of_wait(self, since: float | None) -> bool:
        """Tell whether it is time to, and if so, that it won't be for a while."""
        now = time.monotonic()
        if self.wait_is_due(since) > now:
            return False
        self._quiet_until = now + WAIT_WARNING_PAUSE
        return True

    def warn_of_wait(self, since: float, stats: PoolStats) -> None:
        """Warn that somebody has waited since then."""
        speak(
            logger.warning,
            'Pool "%s": a connection has been waited for for %.1f s: %s. Hold connections for less time, or raise '
            "MAX_CONNS if the server has room.",
            self._name,
            time.monotonic() - since,
            stats,
        )

    def warn_of_abandoned(self, who: str) -> None:
        """Warn that a holder ended without giving its connection back."""
        speak(
            logger.warning,
            'Pool "%s": %s ended without giving its connection back; reclaimed. '
            "Greenlets and threads that your code starts need close_connection.",
            self._name,
            who,
        )

    def warn_of_leak(self, who: str, after: float | None, stack: traceback.StackSummary | None) -> None:
        """Warn that a connection is held for longer than LEAK_WARNING_AFTER."""
        speak(
            logger.warning,
            'Pool "%s": %s has held a connection for more than LEAK_WARNING_AFTER (%s s). It was taken here:\n%s',
            self._name,
            who,
            after,
            "".join(traceback.format_list(reversed(stack))) if stack else "",
        )
