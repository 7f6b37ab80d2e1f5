"""The table of metrics in the documentation; ``python -m tests.support.metric_table`` updates it."""

from __future__ import annotations

import re
from pathlib import Path

from celery_geventpool.metrics import opentelemetry, prometheus
from django_geventpool.pool.metric import Metric
from django_geventpool.pool.stats import METRICS

PAGE = Path(__file__).parent.parent.parent / "docs" / "observability.md"

_HEADINGS = "| `stats()` | kind | unit | Prometheus | OpenTelemetry | what it is |\n"
_SUFFIXES = {"counter": "_total"}


def replaced(page: str) -> str:
    """Return a page with its table replaced by the current one."""
    rows = "".join(f"{''.join(f'| {cell} ' if cell else '| ' for cell in _row(metric))}|\n" for metric in METRICS)
    table = f"{_HEADINGS}|{'---|' * _HEADINGS.count(' |')}\n{rows}"
    page, count = re.subn(rf"^{re.escape(_HEADINGS)}(\|.*\n)*", lambda _: table, page, flags=re.MULTILINE)
    assert count == 1, f"{count} tables begin with {_HEADINGS}"
    return page


def _row(metric: Metric) -> list[str]:
    if metric.part_of:
        exported = f'{{state="{metric.name}"}}'
    else:
        exported = prometheus.name_of(metric) or ""
        exported += _SUFFIXES.get(metric.kind, "") if exported else ""
        exported += f"{{{metric.label}}}" if metric.label else ""
    observed = opentelemetry.NAMES.get(metric.name, "")
    codes = [f"`{text}`" if text else "" for text in (metric.name, exported, observed)]
    return [codes[0], metric.kind, metric.unit, *codes[1:], metric.description]


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text()))
