"""What a metric is: declared once, as a field of PoolStats, and read by whatever shows or exports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

#: A gauge says how things are, a counter how often something happened, a histogram how long it took each time.
Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Metric:
    """The declaration of a metric."""

    #: The field's name.
    name: str
    kind: Kind
    #: What is counted, in the singular, or "s" for seconds.
    unit: str
    description: str
    #: What its parts differ by; None for a single number.
    label: str | None = None
    #: Whether it is kept by task (``use_by_task.py``).
    is_by_task: bool = False
    #: The gauge that it is a part of.
    part_of: str | None = None


def metric(kind: Kind, unit: str, description: str, **more: Any) -> Any:
    """Return a dataclass field that declares a metric; the parameters are those of Metric."""
    return field(metadata={"kind": kind, "unit": unit, "description": description, **more})
