"""Settings of a database that look like the pool's, but aren't: in another place, or of another pool."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .declared import DECLARED, NAMES
from .kinds import Seconds

#: What other pools need an option for and this one doesn't, and why.
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

#: The names under which other engines group the options of their pools.
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
#: How similar a name beside OPTIONS must be to one of the pool's to be taken for a slip of the pen.
_ALIKE = 0.85


class Stray(NamedTuple):
    """A setting that the pool doesn't read."""

    #: As it is written: ``["OPTIONS"]["max_conns"]``.
    place: str
    #: What happens to it there.
    fate: str
    #: What to do instead.
    advice: str


def find(database: Mapping[str, Any]) -> Iterator[Stray]:
    """Yield the strays of a database's settings. Upper-case ones among the OPTIONS aren't strays, but errors."""
    for name, value in database.items():
        if str(name) not in _DJANGO and (advice := _advise(str(name), value, guess=True)):
            yield Stray(f'["{name}"]', "stands beside OPTIONS, where nothing reads it", advice)
    given = database.get("OPTIONS")
    for name, value in given.items() if isinstance(given, Mapping) else ():
        # "pool" is Django's own option, which is refused.
        if not str(name).isupper() and name != "pool" and (advice := _advise(str(name), value)):
            yield Stray(f'["OPTIONS"]["{name}"]', "goes to the driver, which knows no such option", advice)


def meant(name: str, value: object) -> str | None:
    """Return advice on an upper-case name among the OPTIONS that the pool doesn't know; None if nobody can tell."""
    known = _ours(name)
    if known is not None:
        return f"did you mean {known}?"
    if name in _DJANGO:
        return f"Django reads it beside OPTIONS, not in it: move {name} there."
    return _advise(name, value)


def _advise(name: str, value: object, *, guess: bool = False) -> str | None:
    plain = _plain(name)
    if plain in map(_plain, _GROUPS):
        return f"remove it, and set in OPTIONS itself {in_place_of(value) or 'MAX_CONNS and the like'}."
    near = difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=_ALIKE) if guess else []
    known = _ours(name) or next(iter(near), None)
    if known is not None:
        return f"set {_quoted(known)} in OPTIONS."
    why = _find(name, {_plain(other): why for other, why in _NEEDLESS.items()})
    return None if why is None else f"remove it: {why}."


def in_place_of(group: object) -> str:
    """Return what to set instead of a group of another pool's options, in words; empty if none is known."""
    others: dict[str, list[str]] = {}
    for name in group if isinstance(group, Mapping) else ():
        known = _ours(str(name))
        if known is not None:
            others.setdefault(known, []).append(str(name))
    return ", ".join(f"{_quoted(name)} for {' and '.join(theirs)}" for name, theirs in others.items())


def _quoted(name: str) -> str:
    # HikariCP counts in milliseconds.
    return f'"{name}" (in seconds)' if isinstance(DECLARED[name].kind, Seconds) else f'"{name}"'


def _ours(name: str) -> str | None:
    """Return the pool's option for a name that is it or a synonym of it."""
    synonyms = {_plain(other): ours for ours, option in DECLARED.items() for other in option.synonyms}
    return _find(name, {**synonyms, **{_plain(ours): ours for ours in DECLARED}})


def _find(name: str, known: Mapping[str, str]) -> str | None:
    plain = _plain(name)
    return known.get(plain) or known.get(plain.removeprefix("pool"))


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
