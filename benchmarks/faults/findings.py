"""What was found in a run, in words, each with whether it is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..contenders import LIMIT


@dataclass(frozen=True)
class Task:
    """What has become of a task. Times are of the monotonic clock."""

    number: int
    began: float | None
    ended: float | None
    error: str
    is_database_error: bool
    value: Any

    @property
    def has_failed(self) -> bool:
        """Whether it has an error, or hasn't ended."""
        return bool(self.error) or self.ended is None

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it hasn't ended."""
        return None if self.began is None or self.ended is None else self.ended - self.began


@dataclass(frozen=True)
class Finding:
    """One of them."""

    text: str
    is_right: bool = True


@dataclass(frozen=True)
class Result:
    """What a contender does in a scenario."""

    scenario: str
    contender: str
    findings: Sequence[Finding]

    @property
    def is_right(self) -> bool:
        """Whether all findings are."""
        return all(finding.is_right for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "is_right": self.is_right}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Result:
        """Return what a file has."""
        findings = [Finding(**finding) for finding in entry["findings"]]
        return cls(entry["scenario"], entry["contender"], findings)


def lendable(count: int) -> Finding:
    """Say how many connections could be lent at the same time."""
    return Finding(f"{count} of {LIMIT} can be lent", count >= LIMIT)


def failed(tasks: Sequence[Task], when: str = "") -> Finding:
    """Say how many tasks have failed, and why most of them."""
    bad = [task for task in tasks if task.has_failed]
    text = f"{len(bad)} of {len(tasks)} failed{when}"
    if bad:
        # The class of the error; its text differs between tasks.
        reasons = Counter(task.error.partition(":")[0] or "hangs" for task in bad)
        text += f" ({', '.join(reason for reason, _ in reasons.most_common(2))})"
    return Finding(text, not bad)


def most_connections(count: int) -> Finding:
    """Say how many connections there were at the most."""
    return Finding(f"at the most {count} connections", count <= LIMIT)


def going_on(count: int, what: str = "killed queries") -> Finding:
    """Say how many queries go on on the server."""
    return Finding(f"{count} {what} go on", count == 0)


def wrong_answers(tasks: Iterable[Task], values: Iterable[int]) -> list[Finding]:
    """Say how many tasks had an answer to another query; nothing if none had."""
    wrong = sum(not task.has_failed and task.value != value for task, value in zip(tasks, values, strict=True))
    return [Finding(f"{wrong} had another query's answer", False)] if wrong else []


def within(seconds: float | None, most: float, what: str, *, watched: float | None = None) -> Finding:
    """Say after how many seconds something happened; None if it has not.

    :param most: after how many it is right.
    :param watched: for how long it was waited for, if that was longer.
    """
    if seconds is None:
        return Finding(f"{what}: not in {watched or most:.0f} s", False)
    return Finding(f"{what} after {seconds:.1f} s", seconds <= most)


def longest(tasks: Iterable[Task]) -> float | None:
    """Return how long the tasks took at the most; None if one hasn't ended."""
    seconds = [task.seconds for task in tasks]
    known = [one for one in seconds if one is not None]
    return max(known) if known and len(known) == len(seconds) else None


def database_errors(tasks: Iterable[Task]) -> list[Finding]:
    """Say which errors were none of the database's; nothing if there were none."""
    others = {task.error.partition(":")[0] for task in tasks if task.error and not task.is_database_error}
    return [Finding(f"no database error: {', '.join(sorted(others))}", False)] if others else []
