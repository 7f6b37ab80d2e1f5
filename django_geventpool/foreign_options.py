"""Settings of a database that look like the pool's, but that it doesn't read: in another place, or of another pool."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

#: The pool's options, each with what others call it. Case, underscores and a leading "pool" make no difference.
_SYNONYMS = {
    "MAX_CONNS": (
        "max_conn max_connections max_open_conns max_size max_pool_size maximum_pool_size pool_max "
        "pool_size size_of_pool max_overflow max_active max_total default_pool_size "
        "reserve_pool_size max_db_connections max_user_connections max_client_conn conn_limit connection_limit"
    ),
    "MIN_CONNS": (
        "min_conn min_connections min_size min_pool_size minimum_pool_size pool_min min_idle minimum_idle initial_size"
    ),
    "CONN_WAIT_TIMEOUT": (
        "timeout conn_timeout connection_timeout wait_timeout query_wait_timeout "
        "acquire_timeout checkout_timeout getconn_timeout borrow_timeout max_wait max_wait_time"
    ),
    "CONN_IDLE_TIMEOUT": (
        "max_idle max_idle_time max_conn_idle_time conn_max_idle idle_timeout server_idle_timeout "
        "connection_idle_timeout"
    ),
    "CONN_MAX_LIFETIME": (
        "max_lifetime lifetime conn_lifetime connection_lifetime max_conn_lifetime max_connection_lifetime "
        "server_lifetime recycle max_age conn_max_age"
    ),
    "ON_RELEASE_DISCARD_ALL": "discard_all release_discard_all server_reset_query reset_query reset_on_return",
    "POOL_MODE": "pooling_mode pool_type",
    "LEAK_WARNING_AFTER": "leak_warning leak_timeout leak_detection_threshold remove_abandoned_timeout",
    "REUSE_CONNS": "reuse_conn reuse_connections max_idle_conns max_idle_connections pool_max_idle max_cached",
}

#: What needs no option here, and why.
_NEEDLESS = {
    **dict.fromkeys(
        ("pre_ping", "server_check_query", "test_on_borrow", "check_query", "conn_health_check"),
        "a connection is looked at whenever it is lent, which costs nothing",
    ),
    **dict.fromkeys(("use_lifo", "server_round_robin"), "the connection that was used last is always lent first"),
    **dict.fromkeys(("max_waiting", "max_queue", "max_queue_size"), "CONN_WAIT_TIMEOUT bounds the wait"),
    **dict.fromkeys(("num_workers", "reconnect_timeout"), "connections are opened by those who wait for them"),
    **dict.fromkeys(("pool_class", "poolclass", "pool_name", "echo_pool"), "there is one kind of pool for each alias"),
}

#: Where other engines have the options of their pools together.
_GROUPS = ("pool", "pool_options", "pool_args", "pool_kwargs", "pool_config", "database_pool_args")

#: What Django reads beside OPTIONS.
_DJANGO = frozenset(
    {
        "ATOMIC_REQUESTS",
        "AUTOCOMMIT",
        "CONN_HEALTH_CHECKS",
        "CONN_MAX_AGE",
        "DISABLE_SERVER_SIDE_CURSORS",
        "ENGINE",
        "HOST",
        "NAME",
        "OPTIONS",
        "PASSWORD",
        "PORT",
        "TEST",
        "TIME_ZONE",
        "USER",
    }
)
#: How alike a name beside OPTIONS must be to one of the pool's to be a slip of the pen.
_ALIKE = 0.85


class Stray(NamedTuple):
    """A setting that the pool doesn't read."""

    #: As it is written: ``["OPTIONS"]["max_conns"]``.
    place: str
    #: What becomes of it there.
    fate: str
    #: What to do instead.
    advice: str


def find(database: Mapping[str, Any], names: frozenset[str]) -> Iterator[Stray]:
    """Yield the strays of a database's settings; upper-case ones among the OPTIONS are an error, and not among them.

    :param names: the names of the pool's options.
    """
    for name, value in database.items():
        if str(name) not in _DJANGO and (advice := _advise(str(name), value, names, guess=True)):
            yield Stray(f'["{name}"]', "stands beside OPTIONS, where nothing reads it", advice)
    given = database.get("OPTIONS")
    for name, value in given.items() if isinstance(given, Mapping) else ():
        # "pool" is Django's own, and refused.
        if not str(name).isupper() and name != "pool" and (advice := _advise(str(name), value, names)):
            yield Stray(f'["OPTIONS"]["{name}"]', "goes to the driver, which knows no such option", advice)


def meant(name: str, value: object, names: frozenset[str]) -> str | None:
    """Say what is meant by an upper-case name among the OPTIONS that the pool doesn't know; None if nobody can tell."""
    known = _ours(name, names)
    if known is not None:
        return f"did you mean {known}?"
    if name in _DJANGO:
        return f"Django reads it beside OPTIONS, not in it: move {name} there."
    return _advise(name, value, names)


def _advise(name: str, value: object, names: frozenset[str], *, guess: bool = False) -> str | None:
    plain = _plain(name)
    if plain in map(_plain, _GROUPS):
        return f"remove it, and set in OPTIONS itself {in_place_of(value, names) or 'MAX_CONNS and the like'}."
    near = difflib.get_close_matches(name.upper(), names, n=1, cutoff=_ALIKE) if guess else []
    known = _ours(name, names) or next(iter(near), None)
    if known is not None:
        return f"set {_quoted(known)} in OPTIONS."
    why = _find(name, {_plain(other): why for other, why in _NEEDLESS.items()})
    return None if why is None else f"remove it: {why}."


def in_place_of(group: object, names: frozenset[str]) -> str:
    """Name what is to be set for the options of another pool that stand together; nothing if none is known."""
    others: dict[str, list[str]] = {}
    for name in group if isinstance(group, Mapping) else ():
        known = _ours(str(name), names)
        if known is not None:
            others.setdefault(known, []).append(str(name))
    return ", ".join(f"{_quoted(name)} for {' and '.join(theirs)}" for name, theirs in others.items())


def _quoted(name: str) -> str:
    # HikariCP counts in milliseconds.
    return f'"{name}" (in seconds)' if name.startswith(("CONN_", "LEAK_")) else f'"{name}"'


def _ours(name: str, names: frozenset[str]) -> str | None:
    """Return the option of the pool's that a name, or a synonym of it, stands for."""
    synonyms = {_plain(other): name for name, others in _SYNONYMS.items() for other in others.split()}
    return _find(name, {**synonyms, **{_plain(name): name for name in names}})


def _find(name: str, known: Mapping[str, str]) -> str | None:
    plain = _plain(name)
    return known.get(plain) or known.get(plain.removeprefix("pool"))


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
