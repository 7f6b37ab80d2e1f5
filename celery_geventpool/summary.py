"""The answers of the remote control commands in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django_geventpool.pool.counters import BOUNDS
from django_geventpool.pool.messages import count


def summarize(answer: Mapping[str, Any]) -> str:
    """Say what ``inspect pools`` has found."""
    lines = [line for pool in answer["pools"] for line in _pool(pool, several=_is_in_several(pool, answer["pools"]))]
    lines += [f"{alias}: not used yet, limit {limit}" for alias, limit in answer["unused"].items()]
    return "\n".join([*(lines or ["no database with a pool"]), *_silence(answer["silent"])])


def _is_in_several(pool: Mapping[str, Any], pools: list[Mapping[str, Any]]) -> bool:
    return any(other["pid"] != pool["pid"] for other in pools)


def _pool(pool: Mapping[str, Any], *, several: bool) -> Iterator[str]:
    name = f"{pool['alias']} in process {pool['pid']}" if several else pool["alias"]
    numbers = f"{pool['in_use']} of {pool['limit']} in use, {pool['idle']} idle, {pool['waiting']} waiting"
    passing = "".join(f", {pool[what]} {what}" for what in ("connecting", "closing") if pool[what])
    yield f"{name}: {numbers}{passing}"
    if pool["longest_holder"] is not None:
        yield f"    longest holder: {pool['longest_holder']} for {seconds(pool['longest_held'])}"
    yield (
        f"    {count(pool['checkouts'], 'checkout')}, {count(pool['waits'], 'wait')}, "
        f"{count(pool['timeouts'], 'timeout')}, "
        f"{pool['reclaimed']} reclaimed, {pool['cancelled']} cancelled"
    )
    yield (
        f"    {count(pool['connects'], 'connect')}, {pool['failed_connects']} failed, "
        f"{count(pool['reconnects'], 'reconnect')}, "
        f"closed: {', '.join(f'{count} {reason}' for reason, count in sorted(pool['closed'].items())) or 'none'}"
    )
    yield "    " + "; ".join(_times(what, pool[f"{what}_time"]) for what in ("wait", "use", "create"))
    for held in pool.get("holders", ()):
        yield f"    held for {seconds(held['held'])} by {held['holder']}, {held['state']}"


def _times(what: str, times: Mapping[str, Any]) -> str:
    if not times["count"]:
        return f"{what}: none"
    return f"{what}: p50 {quantile(times['p50'])}, p95 {quantile(times['p95'])}"


def summarize_resize(answer: Mapping[str, Any]) -> str:
    """Say what ``control pool_resize`` has done."""
    text = f"{answer['alias']}: limit {answer['limit']}, was {answer['before']}"
    if answer["processes"] > 1:
        children = answer["processes"] - 1
        text += ", in its child process too" if children == 1 else f", in each of {children} child processes"
    return "\n".join([text, *_silence(answer["silent"])])


def summarize_closed(closed: Mapping[str, int], silent: list[int]) -> str:
    """Say what ``control pool_close_idle`` has done."""
    lines = [f"{alias}: {count} closed" for alias, count in sorted(closed.items())] or ["no pool is in use yet"]
    return "\n".join([*lines, *_silence(silent)])


def _silence(silent: list[int]) -> Iterator[str]:
    if silent:
        yield f"no answer from {'process' if len(silent) == 1 else 'processes'} {', '.join(map(str, silent))}"


def quantile(time: float) -> str:
    """Write an estimate of Times.quantile, as one: all that is known is between which bounds it is."""
    return f"~{seconds(time)}" if time < BOUNDS[-1] else f"over {BOUNDS[-1]:.0f} s"


def seconds(time: float) -> str:
    """Write a time with its unit."""
    return f"{time * 1000:.3g} ms" if time < 1 else f"{time:.1f} s"
