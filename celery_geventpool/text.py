"""Times in words."""

from __future__ import annotations

from django_geventpool.pool.counters import BOUNDS


def quantile(time: float) -> str:
    """Return a quantile as text, marked as an estimate: only the bucket that it lies in is known."""
    return f"~{seconds(time)}" if time < BOUNDS[-1] else f"over {BOUNDS[-1]:.0f} s"


def seconds(time: float) -> str:
    """Return a time as text, with its unit."""
    return f"{time * 1000:.3g} ms" if time < 1 else f"{time:.1f} s"
