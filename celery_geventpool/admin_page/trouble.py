"""What is wrong with a pool, in words."""

from __future__ import annotations

from collections.abc import Iterator

from django_geventpool.pool.messages import count

from ..text import seconds
from .history import Lately
from .numbers import PoolNumbers

#: From here on, a connection that is held in a transaction without a query is named (seconds).
_LONG_IDLE = 10.0


def trouble(pool: PoolNumbers, lately: Lately) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong, the most urgent first."""
    if pool.connect_failed_ago is not None:
        yield f"Connecting to the server failed {seconds(pool.connect_failed_ago)} ago."
    if pool.waiting and pool.in_use >= pool.limit:
        verb = "waits" if pool.waiting == 1 else "wait"
        yield f"{count(pool.waiting, 'request')} {verb}, and all connections are in use."
    if lately.timeouts:
        yield f"{count(lately.timeouts, 'request')} got no connection in time lately."
    for holder in pool.holders:
        if holder.state == "idle in transaction" and holder.held > _LONG_IDLE:
            yield (
                f"{holder.task or holder.holder} has had a connection for {seconds(holder.held)}, "
                "and is in a transaction without a query."
            )
    fleet = pool.fleet
    if fleet is not None and fleet["limit"] and fleet["sessions"] >= fleet["limit"]:
        yield f"The server is full: {fleet['sessions']} of {fleet['limit']} sessions ({fleet['scope_text']})."
