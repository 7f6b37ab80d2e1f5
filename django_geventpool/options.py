"""The pool's options: the only place where their names, defaults and rules stand."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from . import foreign_options
from .errors import InvalidOption
from .text import show

PoolMode = Literal["session", "transaction"]

#: The most that PostgreSQL's max_connections can be.
_MOST_CONNECTIONS = 262_143


@dataclass(frozen=True)
class PoolOptions:
    """The upper-case entries of ``DATABASES[alias]["OPTIONS"]``, validated; times are in seconds.

    :raises InvalidOption: for a value of the wrong type or out of its range, and for options that contradict
        each other.
    """

    #: Hard limit of server connections of this process for the alias.
    MAX_CONNS: int = 4
    #: How many connections are kept open when idle.
    MIN_CONNS: int = 0
    #: How long to wait for a connection; 0 fails at once when the pool is full, None waits without limit.
    CONN_WAIT_TIMEOUT: float | None = 15
    #: An idle connection above MIN_CONNS is closed after this time; None never closes it.
    CONN_IDLE_TIMEOUT: float | None = 60
    #: A connection is replaced after this time, less a jitter of up to a tenth; None never replaces it.
    CONN_MAX_LIFETIME: float | None = 3600
    #: Run DISCARD ALL when a connection comes back; time zone and role are set again.
    ON_RELEASE_DISCARD_ALL: bool = False
    #: "session" holds a connection from the first query to the end of the task or request, "transaction" to the end
    #: of each transaction (an autocommitted query is one).
    POOL_MODE: PoolMode = "session"
    #: A connection still held after this time is warned about once, with its holder; None never warns.
    LEAK_WARNING_AFTER: float | None = None
    #: How often the server looks whether the client of a running query is still there
    #: (``client_connection_check_interval``); None leaves it to the server's own setting.
    CLIENT_CHECK_INTERVAL: float | None = 2
    #: How many idle connections are kept; None stands for MAX_CONNS.
    REUSE_CONNS: int | None = None

    def __post_init__(self) -> None:
        _check_count("MAX_CONNS", self.MAX_CONNS, least=1)
        _check_count("MIN_CONNS", self.MIN_CONNS)
        _check_seconds("CONN_WAIT_TIMEOUT", self.CONN_WAIT_TIMEOUT, zero="fails at once when the pool is full")
        _check_seconds("CONN_IDLE_TIMEOUT", self.CONN_IDLE_TIMEOUT, zero="closes a connection as soon as it is idle")
        _check_seconds("CONN_MAX_LIFETIME", self.CONN_MAX_LIFETIME)
        _check_seconds("LEAK_WARNING_AFTER", self.LEAK_WARNING_AFTER)
        _check_seconds("CLIENT_CHECK_INTERVAL", self.CLIENT_CHECK_INTERVAL)
        if not isinstance(self.ON_RELEASE_DISCARD_ALL, bool):
            raise InvalidOption(_wrong("ON_RELEASE_DISCARD_ALL", "True or False", self.ON_RELEASE_DISCARD_ALL))
        if self.REUSE_CONNS is not None:
            _check_count("REUSE_CONNS", self.REUSE_CONNS)
        if self.POOL_MODE not in ("session", "transaction"):
            raise InvalidOption(_wrong("POOL_MODE", '"session" or "transaction"', self.POOL_MODE))
        self._check_together()

    def _check_together(self) -> None:
        if self.MIN_CONNS > self.MAX_CONNS:
            raise InvalidOption(
                f"MIN_CONNS ({self.MIN_CONNS}) must not be above MAX_CONNS ({self.MAX_CONNS}): "
                "lower MIN_CONNS or raise MAX_CONNS."
            )
        if self.REUSE_CONNS is not None and self.REUSE_CONNS < self.MIN_CONNS:
            raise InvalidOption(
                f"REUSE_CONNS ({self.REUSE_CONNS}) must not be below MIN_CONNS ({self.MIN_CONNS}): "
                "raise REUSE_CONNS, or leave it out to keep every connection."
            )

    @cached_property
    def reuse_conns(self) -> int:
        """How many idle connections are kept."""
        return self.MAX_CONNS if self.REUSE_CONNS is None else self.REUSE_CONNS


NAMES = frozenset(field.name for field in fields(PoolOptions))


def split(options: object) -> tuple[PoolOptions, dict[str, Any]]:
    """Part ``DATABASES[alias]["OPTIONS"]`` into the pool's options and the driver's.

    :raises InvalidOption: for anything but a dictionary, for an upper-case name that the pool doesn't know, and for
        what PoolOptions refuses.
    """
    if not isinstance(options, Mapping):
        raise InvalidOption(_wrong("OPTIONS", "a dictionary", options))
    ours = {name: value for name, value in options.items() if str(name).isupper()}
    for name, value in ours.items():
        if name not in NAMES:
            raise InvalidOption(_unknown(name, value))
    driver = {name: value for name, value in options.items() if name not in ours}
    if driver.get("pool"):
        theirs = foreign_options.in_place_of(driver["pool"], NAMES)
        raise InvalidOption(
            'OPTIONS["pool"] switches on Django\'s own pool, which can\'t work beside this engine\'s: remove "pool", '
            f"and set MAX_CONNS and the like instead{theirs and ': '}{theirs}."
        )
    return PoolOptions(**ours), driver


def _unknown(name: str, value: object) -> str:
    hint = foreign_options.meant(name, value, NAMES)
    if hint is None:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the pool's options are {', '.join(sorted(NAMES))}."
    return f"Unknown pool option {name}: {hint}"


def _wrong(name: str, wanted: str, value: object) -> str:
    return f"{name} must be {wanted}, not {show(value)}."


def _check_count(name: str, value: object, least: int = 0) -> None:
    # bool is a kind of int, but True is no count.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidOption(_wrong(name, f"a whole number of at least {least}", value))
    if value > _MOST_CONNECTIONS:
        raise InvalidOption(_wrong(name, f"at most {_MOST_CONNECTIONS}, as no server has more connections", value))


def _check_seconds(name: str, value: object, zero: str | None = None) -> None:
    if value is None:
        return
    wanted = f"a number of seconds (0 {zero}) or None" if zero else "a number of seconds above 0, or None"
    # A whole number may be too large for a float; only infinity is none that a clock can be set to.
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not (0 <= value <= sys.float_info.max or value == math.inf)
    ):
        raise InvalidOption(_wrong(name, wanted, value))
    if value == 0 and zero is None:
        raise InvalidOption(_wrong(name, wanted, value))
