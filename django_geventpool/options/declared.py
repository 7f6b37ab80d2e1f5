"""The pool's options, each declared once: here. A unit test compares the table in docs/options.md with it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, TypeVar, get_args

from ..errors import InvalidOption
from ..text import show
from .kinds import Choice, Count, Kind, Seconds

T = TypeVar("T")
PoolMode = Literal["session", "transaction"]
SessionStatePolicy = Literal["pin", "warn", "raise", "ignore"]
DiscardAll = Literal["dirty", True, False]


class Option(NamedTuple):
    """What is declared of an option, besides its name, type and default."""

    kind: Kind
    #: What it does, as in docs/options.md.
    meaning: str
    #: What other pools call it, or people guess. Case, underscores and a leading "pool" make no difference.
    synonyms: tuple[str, ...]


def _option(default: T, kind: Kind, meaning: str, *, synonyms: str = "") -> T:
    return field(default=default, metadata={"option": Option(kind, meaning, tuple(synonyms.split()))})


@dataclass(frozen=True)
class PoolOptions:
    """The upper-case entries of ``DATABASES[alias]["OPTIONS"]``, validated; times are in seconds.

    To add one, declare it here, of a kind that ``kinds.py`` has, with its row in docs/options.md; what two of them
    rule out together goes into ``_check_together``.

    :raises InvalidOption: for a value of the wrong type or out of its range, and for options that contradict
        each other.
    """

    MAX_CONNS: int = _option(
        4,
        Count(least=1),
        "hard limit of server connections, for each process and alias: the most that one may have",
        synonyms="max_conn max_connections max_open_conns max_size max_pool_size maximum_pool_size pool_max "
        "pool_size size_of_pool max_overflow max_active max_total default_pool_size "
        "reserve_pool_size max_db_connections max_user_connections max_client_conn conn_limit connection_limit",
    )
    MIN_CONNS: int = _option(
        0,
        Count(),
        "how many stay open when idle",
        synonyms="min_conn min_connections min_size min_pool_size minimum_pool_size pool_min min_idle minimum_idle "
        "initial_size",
    )
    CONN_WAIT_TIMEOUT: float | None = _option(
        15,
        Seconds(zero="fails at once when the pool is full"),
        "how long to wait for a connection before `PoolTimeout`; 0 fails at once, None waits without limit",
        synonyms="timeout conn_timeout connection_timeout wait_timeout query_wait_timeout "
        "acquire_timeout checkout_timeout getconn_timeout borrow_timeout max_wait max_wait_time",
    )
    CONN_IDLE_TIMEOUT: float | None = _option(
        60,
        Seconds(zero="closes a connection as soon as it is idle"),
        "when an idle connection above `MIN_CONNS` is closed; None never; at most 5 while the server was full within "
        "the last minute",
        synonyms="max_idle max_idle_time max_conn_idle_time conn_max_idle idle_timeout server_idle_timeout "
        "connection_idle_timeout",
    )
    CONN_MAX_LIFETIME: float | None = _option(
        3600,
        Seconds(),
        "when a connection is replaced, up to a tenth earlier so that not all are at once; None never",
        synonyms="max_lifetime lifetime conn_lifetime connection_lifetime max_conn_lifetime max_connection_lifetime "
        "server_lifetime recycle max_age conn_max_age",
    )
    ON_RELEASE_DISCARD_ALL: DiscardAll = _option(  # noqa: RUF009  a field, as the others
        "dirty",
        Choice(get_args(DiscardAll)),
        "run `DISCARD ALL` when a connection comes back: if its session was changed, always (True), or never (False); "
        "time zone and role are set again",
        synonyms="discard_all release_discard_all server_reset_query reset_query reset_on_return",
    )
    POOL_MODE: PoolMode = _option(  # noqa: RUF009  a field, as the others
        "session",
        Choice(get_args(PoolMode)),
        "how long a connection is held",
        synonyms="pooling_mode pool_type",
    )
    SESSION_STATE: SessionStatePolicy = _option(  # noqa: RUF009  a field, as the others
        "pin",
        Choice(get_args(SessionStatePolicy)),
        "what to do about statements that leave something in the session",
        synonyms="session_pinning pinning on_session_state session_pinning_filters",
    )
    LEAK_WARNING_AFTER: float | None = _option(
        None,
        Seconds(),
        "warn once of a connection held for longer, with its holder and the lines of your code that took it",
        synonyms="leak_warning leak_timeout leak_detection_threshold remove_abandoned_timeout",
    )
    IDLE_IN_TRANSACTION_WARNING_AFTER: float | None = _option(
        None,
        Seconds(),
        "warn once of a transaction that has been open for so long without doing anything, with its holder and the "
        "lines of your code where that is now",
        synonyms="idle_in_transaction_warning idle_in_transaction_timeout idle_transaction_timeout",
    )
    CLIENT_CHECK_INTERVAL: float | None = _option(
        2,
        Seconds(),
        "how often the server looks whether the client of a running query is still there; None leaves it to the server",
    )
    STATEMENT_TIMEOUT_FROM_TASK: bool = _option(
        False,
        Choice((True, False)),
        "the server ends statements shortly before the hard time limit of their task does",
        synonyms="statement_timeout query_timeout command_timeout",
    )
    REUSE_CONNS: int | None = _option(
        None,
        Count(none="MAX_CONNS"),
        "how many idle connections are kept",
        synonyms="reuse_conn reuse_connections max_idle_conns max_idle_connections pool_max_idle max_cached",
    )

    def __post_init__(self) -> None:
        for name, option in DECLARED.items():
            value = getattr(self, name)
            expected = option.kind.instead_of(value)
            if expected is not None:
                raise InvalidOption(f"{name} must be {expected}, not {show(value)}.")
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

    @property
    def reuse_conns(self) -> int:
        """How many idle connections are kept."""
        return self.MAX_CONNS if self.REUSE_CONNS is None else self.REUSE_CONNS


#: The options by name, in the order of docs/options.md.
DECLARED: dict[str, Option] = {option.name: option.metadata["option"] for option in fields(PoolOptions)}
NAMES = frozenset(DECLARED)
