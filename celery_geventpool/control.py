"""Remote commands: ``inspect pools`` and ``pool_check``, ``control pool_resize`` and ``pool_close_idle``.

Importing this module registers them, in workers and in the process of the command line alike.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from celery.worker import state as worker_state
from celery.worker.control import control_command, inspect_command

# The commands import the rest when they run: each of Celery's programs imports this module, but only workers run them.

_OPTIONS = ("holders", "buckets", "tasks")


@inspect_command(variadic="options", signature="[holders] [buckets] [tasks]")
def pools(state: Any, options: object = (), **_kwargs: Any) -> dict[str, Any]:
    """Show the numbers of the connection pools, and who holds connections ("holders"), or the use by task ("tasks")."""
    from . import operations, processes, summary

    try:
        answers, silent = processes.ask_all("show", more=_checked(options))
    except operations.Refused as error:
        return {"error": str(error)}
    found = [pool for answer in answers for pool in answer]
    used = {pool["alias"] for pool in found}
    answer = {
        "pools": found,
        "unused": {alias: limit for alias, limit in operations.limits().items() if alias not in used},
        "silent": silent,
        "tasks": sum(worker_state.total_count.values()),
    }
    # The command line prints what is under "ok", and with --json all of it.
    return {"ok": summary.summarize(answer), **answer}


def _checked(options: object) -> list[str]:
    """Return the options of ``inspect pools``; refuse others, as commands sent by programs may bring anything."""
    from django_geventpool.text import printable, show

    from . import operations

    wanted = list(options) if isinstance(options, list | tuple) else [] if options is None else [options]
    unknown = [option for option in wanted if option not in _OPTIONS]
    if unknown:
        shown = ", ".join(option if isinstance(option, str) else show(option) for option in unknown)
        raise operations.Refused(f"inspect pools knows no {printable(shown)}; it takes: {', '.join(_OPTIONS)}.")
    return [str(option) for option in wanted]


@inspect_command()
def pool_check(state: Any, **_kwargs: Any) -> dict[str, Any]:
    """Say whether the worker is ready: its servers answer, and tasks don't wait for connections too long."""
    from .readiness import readiness

    verdict = readiness.verdict()
    return {"ok": str(verdict), "ready": verdict.is_ready, "reasons": list(verdict.reasons)}


@control_command(args=[("alias", str), ("limit", str)], signature="ALIAS N")
def pool_resize(state: Any, alias: object = None, limit: object = None, **_kwargs: Any) -> dict[str, Any]:
    """Change the limit of a connection pool (MAX_CONNS) until the worker ends."""
    from . import operations, processes, summary

    if alias is None or limit is None:
        return {"error": "pool_resize takes an alias and its new limit, as in: pool_resize default 20"}
    try:
        answers, silent = processes.ask_all("resize", alias=alias, limit=limit)
    except operations.Refused as error:
        return {"error": str(error)}
    answer = {**answers[0], "processes": len(answers), "silent": silent}
    return {"ok": summary.summarize_resize(answer), **answer}


@control_command(args=[("alias", str)], signature="[ALIAS]")
def pool_close_idle(state: Any, alias: object = None, **_kwargs: Any) -> dict[str, Any]:
    """Close the idle connections of a connection pool, or of all."""
    from . import operations, processes, summary

    try:
        answers, silent = processes.ask_all("close_idle", alias=alias)
    except operations.Refused as error:
        return {"error": str(error)}
    closed: Counter[str] = Counter()
    for answer in answers:
        closed.update(answer)
    return {"ok": summary.summarize_closed(closed, silent), "closed": dict(closed), "silent": silent}
