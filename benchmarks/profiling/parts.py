"""The parts of a task's time: which of them a sampled stack belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part of the time, told by the functions on the stack."""

    title: str
    #: Matches one of the frames, which read ``function (file)``.
    frame: re.Pattern[str]


def _part(title: str, *frames: str) -> Part:
    return Part(title, re.compile("|".join(frames)))


#: What is no task: imports, and setting Django up.
_START = _part("start", r"_find_and_load\b", r"\bsetup \(django/__init__", r"\bpopulate \(django/apps")

#: The first that matches any frame counts, so the inner parts stand before the outer ones.
PARTS = (
    _part("checkout from the pool", r"\bgetconn \("),
    _part("return to the pool", r"\b_?give_back\w* \(django_geventpool", r"\bputconn \(", r"\b_close \(dj?_?db"),
    _part("making Django's wrapper", r"\bcreate_connection \(django/db/utils"),
    _part("Django's connect around the checkout", r"\bensure_connection \(", r"\bconnect \(\w+/(db|backends)/"),
    _part("the statement: driver and waiting", r"\b_execute \(", r"\bwait_callback \(", r"\bfetch\w+ \(psycopg"),
    _part("making and closing cursors", r"\b_?cursor \(\w+/(db/)?backends/", r"\bclose \(\w+/(db/)?backends/cursors"),
    _part("the end: Django's close", r"\bclose_all \(django", r"\bend_task \(", r"\bon_task_postrun \("),
    _part("ORM", r"\(django/db/models/", r"\(subject/workloads"),
    _part("the beginning: our handler", r"\bon_task_prerun \("),
    _part("Celery", r"\((celery|celery_geventpool|kombu|vine|amqp|billiard)/"),
    _part("gevent's hub", r"\(gevent/"),
)
OTHER = "other"


@dataclass(frozen=True)
class Profile:
    """How many samples each part has."""

    samples: Counter[str]

    @property
    def total(self) -> int:
        """All samples but those of the start."""
        return self.samples.total()

    def share(self, title: str) -> float:
        """Return the part (0 to 1) of the time."""
        return self.samples[title] / self.total if self.total else 0.0


def part_of(stack: str) -> str | None:
    """Return the title of a stack's part; None for what belongs to the start.

    :param stack: frames joined by semicolons, the outermost first.
    """
    frames = stack.split(";")
    if any(map(_START.frame.search, frames)):
        return None
    return next((part.title for part in PARTS if any(map(part.frame.search, frames))), OTHER)


def read(lines: Iterable[str]) -> Profile:
    """Read what the profiler has written: a line for each stack, which ends in the number of its samples."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        title = part_of(stack) if stack else None
        if title is not None:
            samples[title] += int(count)
    return Profile(samples)
