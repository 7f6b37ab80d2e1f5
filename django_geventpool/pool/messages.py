"""The pool's warnings and errors in words: why there is no connection to be had, and what to do."""

from __future__ import annotations

from ..options import PoolMode
from .driver import Driver
from .nested import Standstill
from .slot import Slot, State
from .state import PoolState


def ways_out(mode: PoolMode, needed: int | None = None) -> str:
    """Return what helps holders that wait for greenlets or threads which want a connection themselves.

    :param needed: how many connections would do for now; None if that is not known.
    """
    more = (
        "set MAX_CONNS to more than the number of such tasks at a time"
        if needed is None
        else f"set MAX_CONNS to {needed} or more, for as many such tasks as now"
    )
    if mode == "transaction":
        return (
            "Two ways out: end the atomic block, cursor or pin that keeps a connection before you wait for greenlets "
            f"or threads; or {more}."
        )
    return (
        'Three ways out: set POOL_MODE to "transaction", which keeps no connection between queries; give the '
        "connection back before you wait for greenlets or threads, with close_connection around the queries before; "
        f"or {more}."
    )


def of_nested(standstill: Standstill, mode: PoolMode) -> str:
    """Return the description of a standstill, and what helps."""
    return f"{standstill}. {ways_out(mode, standstill.needed)}"


def of_full(state: PoolState, driver: Driver, standstill: Standstill | None = None, above: Slot | None = None) -> str:
    """Return why no connection is to be had, and what to do. Called under the pool's lock.

    :param standstill: the one that the pool is in, if it is.
    :param above: the slot held by the greenlet or thread that asks, or by one that started it.
    """
    mode = state.options.POOL_MODE
    if standstill is not None:
        return f"Meanwhile {of_nested(standstill, mode)}"
    if above is not None:
        return (
            f"{above.who()} holds a connection already and asks for another, itself or in a greenlet or thread that it "
            f"has started. {ways_out(mode)}"
        )
    return " ".join([*_what_is_in_the_way(state), *_what_to_do(state, driver)])


def _what_is_in_the_way(state: PoolState) -> list[str]:
    """Return what takes room besides the holders, a sentence each."""
    found = []
    still_open, over = state.count_predecessors(), len(state.slots) - state.limit
    states = [slot.state for slot in state.slots]
    if still_open:
        found.append(
            f"{count(still_open, 'connection')} of the pool before it, which was closed, "
            f"{'is still open: it counts' if still_open == 1 else 'are still open: they count'} until given back."
        )
    if over > 0:
        found.append(
            f"The limit was lowered: wait until {count(over, 'connection above it has', 'connections above it have')} "
            "come back, or raise it again."
        )
    if state.server.backoff:
        found.append(
            "The server itself has no connection left for us: raise its limit (max_connections, or the CONNECTION "
            "LIMIT of the role or database), or have other processes take fewer; a higher MAX_CONNS does not help."
        )
    fleet = state.server.fleet
    if _is_held_back(state) and fleet.standing is not None:
        found.append(
            f"Other processes need connections too: this one's fair share is {fleet.standing.target} of the "
            f"{fleet.standing.budget} that the server's limits leave to all; a higher MAX_CONNS does not help."
        )
    if states.count(State.CLOSING) >= max(1, state.limit / 2):
        found.append(
            "Closing takes unusually long, and connections count until the server has let go of them: look at the "
            "server and the network."
        )
    if states.count(State.CONNECTING) >= max(1, state.limit / 2):
        found.append("Connecting takes unusually long: look at the server, the network and connect_timeout.")
    return found


def _is_held_back(state: PoolState) -> bool:
    """Return whether the pool may not have MAX_CONNS connections, as other processes need some."""
    return state.server.fleet.is_followed and state.server.fleet.target < state.limit


def _what_to_do(state: PoolState, driver: Driver) -> list[str]:
    """Return how connections could be held for less time, a sentence each; nothing if none is held."""
    states = [driver.state(slot.connection) for slot in state.slots if slot.state is State.IN_USE]
    if not states:
        return []
    raising = "" if state.server.backoff or _is_held_back(state) else ", or raise MAX_CONNS if the server has room"
    found = [f"Hold connections for less time{raising}."]
    idle = len(states) - states.count("active")
    if idle * 2 >= len(states):
        # Outside of transactions, only the mode keeps them.
        waste = (
            f"{idle} of the {len(states)} in use are in no query now" if len(states) > 1 else "It is in no query now"
        )
        if state.options.POOL_MODE == "session" and states.count("idle") * 2 >= len(states):
            found.append(f'{waste}: POOL_MODE "transaction" would lend {_them(idle)} to others.')
        else:
            found.append(f"{waste}: shorter transactions help.")
    return found


def _them(number: int) -> str:
    return "it" if number == 1 else "them"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun; ``many`` is the plural, unless that is ``one`` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
