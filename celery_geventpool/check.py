"""``celery -A proj geventpool check``: asks workers whether they are ready, for probes that run a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.exceptions import CeleryCommandException

from django_geventpool.text import printable, show

from .top.asking import Asker


def check(app: Celery, names: Sequence[str] | None, *, is_live_enough: bool, timeout: float) -> tuple[bool, list[str]]:
    """Return whether workers are ready, and a line for each.

    :param names: those that must be; None for all that answer, and at least one.
    :param is_live_enough: whether it is enough that they answer.
    :param timeout: how long they have, in seconds.
    """
    try:
        answers = Asker(app, "pool_check", names).replies(timeout)
    except CeleryCommandException as error:
        return False, [printable(str(error), 500)]
    silent = [printable(name) for name in names or () if printable(name) not in answers]
    lines = [f"{name}: no answer within {timeout:g} s" for name in silent]
    if not answers and not silent:
        return False, [f"No worker answered within {timeout:g} s."]
    good = True
    for name, answer in sorted(answers.items()):
        is_ready, text = _read(answer)
        good = good and (is_ready or is_live_enough)
        lines.append(f"{name}: {text}")
    return good and not silent, lines


def _read(answer: Any) -> tuple[bool, str]:
    """Return whether an answer says that the worker is ready, and its text."""
    if isinstance(answer, dict) and isinstance(text := answer.get("ok"), str):
        return answer.get("ready") is True, printable(text, 500)
    error = answer.get("error") if isinstance(answer, dict) else answer
    return False, printable(error, 500) if isinstance(error, str) else show(error)
