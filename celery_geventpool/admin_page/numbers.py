"""What a worker's answer to ``inspect pools holders buckets`` says, read with distrust: any program may answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django_geventpool.pool.counters import BOUNDS
from django_geventpool.pool.fleet.view import limit_in_words, others_in_words
from django_geventpool.text import printable

from .. import fleets

Kind = Literal["worker", "web"]

#: How many pools of a worker, and holders of a pool, are shown.
_MOST_POOLS, MOST_HOLDERS = 200, 50
#: Greater numbers are no numbers of pools.
_MOST = 10**12
_STATES = ("active", "idle", "idle in transaction")


@dataclass(frozen=True)
class Holder:
    """Who holds a connection."""

    holder: str
    task: str | None
    task_id: str | None
    #: For how long, in seconds.
    held: float
    state: str


@dataclass(frozen=True, kw_only=True)
class PoolNumbers:
    """The numbers of one pool at one moment; those of a pool that isn't used yet have no process id."""

    worker: str
    kind: Kind
    alias: str
    pid: int | None
    limit: int
    in_use: int = 0
    idle: int = 0
    waiting: int = 0
    timeouts: int = 0
    #: How many waits, by bucket, since the pool was made; None where the worker doesn't tell.
    waits: tuple[int, ...] | None = None
    connect_failed_ago: float | None = None
    #: As the page gets it.
    fleet: Mapping[str, Any] | None = None
    #: The longest first.
    holders: tuple[Holder, ...] = ()
    holders_total: int = 0

    @property
    def key(self) -> str:
        """What tells this pool from all others, as long as its process lives."""
        return f"{self.worker}|{'' if self.pid is None else self.pid}|{self.alias}"


@dataclass(frozen=True)
class Reply:
    """What a worker has answered."""

    pools: tuple[PoolNumbers, ...]
    #: What an operator should know besides.
    notes: tuple[str, ...]


class Unreadable(Exception):
    """A part of an answer isn't what it should be."""


def read(worker: str, answer: object, kind: Kind = "worker") -> Reply:
    """Return what an answer says; whatever can't be read becomes a note."""
    worker = printable(worker)
    if not isinstance(answer, dict):
        return Reply((), (f"{worker} gave an answer that this page can't read.",))
    if is_unknown_command(answer.get("error")):
        return Reply((), (f"{worker} has no celery-geventpool, or an older one.",))
    if "error" in answer:
        return Reply((), (f"{worker} can't answer: {printable(str(answer['error']))}",))
    pools: list[PoolNumbers] = []
    notes = []
    try:
        given = _list(answer.get("pools"))
        unused = answer.get("unused", {})
        # One after the other, so that those before one that can't be read are shown.
        pools.extend(_pool(worker, kind, pool) for pool in given[:_MOST_POOLS])
        pools += _unused(worker, kind, unused)
    except Unreadable:
        notes.append(f"{worker} tells not all that this page shows: it may have another version of celery-geventpool.")
    if any(pool.waits is None for pool in pools if pool.pid is not None):
        notes.append(f"{worker} doesn't tell how long tasks wait: it may have an older version of celery-geventpool.")
    silent = answer.get("silent")
    if isinstance(silent, list) and silent:
        count = f"{len(silent)} processes" if len(silent) > 1 else "a process"
        notes.append(f"{worker}: {count} did not answer in time.")
    return Reply(tuple(pools), tuple(notes))


def is_unknown_command(error: object) -> bool:
    """Return whether a worker says that it doesn't know a remote command, for which Celery has Python's words only."""
    return isinstance(error, str) and error.startswith("KeyError(")


def _pool(worker: str, kind: Kind, given: object) -> PoolNumbers:
    if not isinstance(given, dict):
        raise Unreadable
    holders = sorted(_holders(given.get("holders")), key=lambda holder: -holder.held)
    return PoolNumbers(
        worker=worker,
        kind=kind,
        alias=read_text(given.get("alias")),
        pid=read_count(given.get("pid")),
        limit=read_count(given.get("limit")),
        in_use=read_count(given.get("in_use")),
        idle=read_count(given.get("idle")),
        waiting=read_count(given.get("waiting")),
        timeouts=read_count(given.get("timeouts", 0)),
        waits=_waits(given.get("wait_time")),
        connect_failed_ago=_time_or_none(given.get("connect_failed_ago")),
        fleet=_fleet(given),
        holders=tuple(holders[:MOST_HOLDERS]),
        holders_total=len(holders),
    )


def _unused(worker: str, kind: Kind, unused: object) -> Iterator[PoolNumbers]:
    if not isinstance(unused, dict):
        raise Unreadable
    for alias, limit in list(unused.items())[:_MOST_POOLS]:
        yield PoolNumbers(worker=worker, kind=kind, alias=read_text(alias), pid=None, limit=read_count(limit))


def _holders(given: object) -> Iterator[Holder]:
    for each in _list([] if given is None else given):
        if not isinstance(each, dict):
            raise Unreadable
        state = each.get("state")
        yield Holder(
            holder=read_text(each.get("holder")),
            task=_text_or_none(each.get("task")),
            task_id=_text_or_none(each.get("task_id")),
            held=_time(each.get("held")),
            state=state if isinstance(state, str) and state in _STATES else "",
        )


def _waits(given: object) -> tuple[int, ...] | None:
    counts = given.get("counts") if isinstance(given, dict) else None
    if not isinstance(counts, list) or len(counts) != len(BOUNDS) + 1:
        return None
    return tuple(map(read_count, counts))


def _fleet(pool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the pool's last look at the session list has shown, in the page's words; None if there was none."""
    given = pool.get("fleet")
    if not isinstance(given, dict):
        return None
    others = given.get("others")
    named = {read_text(name): read_count(number) for name, number in others.items()} if isinstance(others, dict) else {}
    strangers = read_count(given.get("strangers"))
    return {
        "limit": read_count(given.get("limit")),
        "budget": read_count(pool.get("fleet_limit")),
        "share": read_count(pool.get("fleet_share")),
        "demand": fleets.demand({**pool, "connecting": read_count(pool.get("connecting"))}),
        "scope_text": limit_in_words(read_text(given.get("scope")), read_text(given.get("owner"))),
        "sessions": read_count(given.get("sessions")),
        "pools": read_count(given.get("pools")),
        "others": others_in_words(named, strangers) if strangers else "",
    }


def _list(given: object) -> list[Any]:
    if not isinstance(given, list):
        raise Unreadable
    return given


def read_text(given: object) -> str:
    """Return a text of an answer, safe to show.

    :raises Unreadable: for anything else.
    """
    if not isinstance(given, str):
        raise Unreadable
    return printable(given)


def _text_or_none(given: object) -> str | None:
    return None if given is None else read_text(given)


def read_count(given: object) -> int:
    """Return a number of an answer, of connections or the like.

    :raises Unreadable: for anything else.
    """
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= _MOST:
        raise Unreadable
    return given


def _time(given: object) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise Unreadable
    if not 0 <= given <= _MOST:  # Nor is what is no number, in the words of IEEE.
        raise Unreadable
    return float(given)


def _time_or_none(given: object) -> float | None:
    return None if given is None else _time(given)
