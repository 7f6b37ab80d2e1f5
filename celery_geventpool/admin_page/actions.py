"""What operators change from the page: limits, and idle connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django_geventpool.text import printable, show

from .. import operations
from .collector import WEB_PROCESS, Collector
from .line import Line
from .numbers import Unreadable, is_unknown_command, read_count, read_text

#: How long workers have to do it (seconds).
_TIMEOUT = 2.0
#: What PostgreSQL's max_connections can be at the most.
_MOST = 262_143


class BadInput(ValueError):
    """What was asked for can't be asked of a worker; nothing was changed. The message says why."""


class Unreachable(Exception):
    """The broker can't be reached; the message says why. Something may have been changed.

    :param outcome: what was asked for.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass
class Outcome:
    """What was changed, and what was not."""

    changed: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    #: What was changed in words, with its subject, for the admin's log.
    log: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, worker: str, message: str) -> None:
        """Note what a worker did not do."""
        self.errors.append({"worker": worker, "message": message})


def resize(collector: Collector, line: Line, given: Mapping[str, str]) -> Outcome:
    """Change the limit of an alias, in one worker or in all.

    :param given: "worker" (empty for all), "alias" and "limit", as they came.
    :raises BadInput: before any worker was asked.
    """
    limit = given.get("limit", "")
    if not re.fullmatch("[0-9]{1,6}", limit) or not 1 <= int(limit) <= _MOST:
        raise BadInput(f"The limit must be a whole number from 1 to {_MOST}, not {show(limit)}.")

    def note(outcome: Outcome, worker: str, answer: dict[str, Any]) -> None:
        alias = read_text(answer["alias"])
        before, after = read_count(answer["before"]), read_count(answer["limit"])
        outcome.changed.append({"worker": worker, "alias": alias, "before": before, "after": after})
        outcome.log.append(
            (f"{alias} of {worker}", f"Limit of the pool {alias} of {worker}: {before} before, now {after}.")
        )

    return _change(collector, line, given, "pool_resize", note, limit=limit)


def close_idle(collector: Collector, line: Line, given: Mapping[str, str]) -> Outcome:
    """Close the idle connections of an alias, in one worker or in all.

    :param given: "worker" (empty for all) and "alias", as they came.
    :raises BadInput: before any worker was asked.
    """

    def note(outcome: Outcome, worker: str, answer: dict[str, Any]) -> None:
        closed = {read_text(alias): read_count(number) for alias, number in answer["closed"].items()}
        outcome.changed.append({"worker": worker, "closed": closed})
        for alias, number in closed.items():
            message = f"Idle connections of the pool {alias} of {worker}: {number} before, {number} closed."
            outcome.log.append((f"{alias} of {worker}", message))

    return _change(collector, line, given, "pool_close_idle", note)


def _change(
    collector: Collector,
    line: Line,
    given: Mapping[str, str],
    command: str,
    note: Callable[[Outcome, str, dict[str, Any]], None],
    **arguments: str,
) -> Outcome:
    collector.look()
    alias, workers = _alias(given.get("alias", ""), collector), _workers(given.get("worker", ""), collector)
    answers = line.replies(command, _TIMEOUT, destination=workers, alias=alias, **arguments) if workers else {}
    collector.expire()
    outcome = Outcome()
    asked = " ".join([command, alias, *arguments.values()])
    if isinstance(answers, Exception):
        outcome.log = [(f"{alias} of {printable(worker)}", f"Asked for {asked}; no answer.") for worker in workers]
        raise Unreachable(f"The broker can't be reached: {answers}.", outcome)
    for worker in workers:
        name = printable(worker)
        if worker not in answers:
            outcome.fail(name, "It did not answer in time, and may still do it.")
            outcome.log.append((f"{alias} of {name}", f"Asked for {asked}; no answer in time."))
            continue
        for problem in _problems(answers[worker]):
            outcome.fail(name, problem)
        if isinstance(answers[worker], dict) and "error" not in answers[worker]:
            try:
                note(outcome, name, answers[worker])
            except (AttributeError, KeyError, Unreadable):
                outcome.fail(name, "It gave an answer that this page can't read.")
                outcome.log.append((f"{alias} of {name}", f"Asked for {asked}; the answer can't be read."))
    return outcome


def _alias(alias: str, collector: Collector) -> str:
    known = collector.aliases() | operations.limits().keys()
    if alias not in known:
        names = ", ".join(sorted(known)) or "none"
        raise BadInput(f"No worker has a pool {show(alias)}. Those that there are: {names}.")
    return alias


def _workers(worker: str, collector: Collector) -> list[str]:
    """Return the names of the workers that are meant."""
    if worker == WEB_PROCESS:
        raise BadInput("A web process has the limit that its settings say: MAX_CONNS.")
    known = collector.workers()
    if not worker:
        return known
    names = {printable(name): name for name in known}
    if worker not in names:
        raise BadInput(f"No worker {show(worker)} has answered lately.")
    return [names[worker]]


def _problems(answer: object) -> Iterator[str]:
    if not isinstance(answer, dict):
        yield "It gave an answer that this page can't read."
    elif is_unknown_command(answer.get("error")):
        yield "It has no celery-geventpool, or an older one."
    elif "error" in answer:
        yield printable(str(answer["error"]))
    elif answer.get("silent"):
        yield "Some of its processes did not answer in time: look whether they have done it."
