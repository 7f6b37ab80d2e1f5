"""The answers of the remote commands as text: singulars are right, and estimates are marked."""

from __future__ import annotations

from typing import Any

from celery_geventpool import summary
from django_geventpool.pool.stats import METRICS

TIMES = {"count": 3, "total": 0.3, "p50": 0.07, "p95": 10.0}
POOL: dict[str, Any] = {
    **{metric.name: TIMES if metric.kind == "histogram" else 0 for metric in METRICS},
    **dict.fromkeys(("checkouts", "waits", "timeouts", "connects", "failed_connects", "reconnects"), 1),
    "alias": "default",
    "pid": 4711,
    "limit": 4,
    "longest_holder": None,
    "closed": {},
}


def test_a_pool_in_words() -> None:
    busy = {
        **POOL,
        "in_use": 3,
        "waiting": 7,
        "connecting": 1,
        "closing": 2,
        "closed": {"lifetime": 2, "broken": 1},
        "longest_holder": "task shop.tasks.pay[42]",
        "longest_held": 2.5,
        "create_time": {"count": 0},
    }
    text = summary.summarize({"pools": [busy], "unused": {"reports": 2}, "silent": []})
    for words in (
        "default: 3 of 4 in use, 0 idle, 7 waiting, 1 connecting, 2 closing",
        "\n    longest holder: task shop.tasks.pay[42] for 2.5 s\n",
        "\n    1 checkout, 1 wait, 1 timeout, 0 reclaimed, 0 cancelled",
        "1 connect, 1 failed, 1 reconnect",
        ", closed: 1 broken, 2 lifetime\n",
        "\n    wait: p50 ~70 ms, p95 over 10 s; use: p50 ~70 ms, p95 over 10 s; create: none",
        "\nreports: not used yet, limit 2",
    ):
        assert words in text


def test_what_connections_were_kept_for_is_shown_where_there_is_any() -> None:
    pool = {**POOL, "pinned": {"setting": 3, "advisory_lock": 12}}
    text = summary.summarize({"pools": [pool], "unused": {}, "silent": []})
    assert ", closed: none, pinned: 12 advisory_lock, 3 setting\n" in text
    assert "pinned" not in summary.summarize({"pools": [{**POOL, "pinned": {}}], "unused": {}, "silent": []})


def test_one_of_each() -> None:
    text = summary.summarize({"pools": [POOL], "unused": {}, "silent": [4712]})
    assert "1 checkout, 1 wait, 1 timeout, 0 reclaimed, 0 cancelled" in text
    assert "1 connect, 1 failed, 1 reconnect, " in text
    assert ", closed: none\n" in text
    assert "no answer from process 4712" in text


def test_more_of_each() -> None:
    pool = {**POOL, **dict.fromkeys(("checkouts", "waits", "timeouts", "connects", "reconnects"), 2)}
    text = summary.summarize({"pools": [pool], "unused": {}, "silent": [4712, 4713]})
    assert "2 checkouts, 2 waits, 2 timeouts, 0 reclaimed" in text
    assert "2 connects, 1 failed, 2 reconnects" in text
    assert "no answer from processes 4712, 4713" in text


def test_quantiles_are_estimates() -> None:
    text = summary.summarize({"pools": [POOL], "unused": {}, "silent": []})
    assert "wait: p50 ~70 ms, p95 over 10 s; use: p50 ~70 ms" in text


def test_a_resize_in_one_child_or_several() -> None:
    answer = {"alias": "default", "before": 4, "limit": 5, "silent": []}
    assert summary.summarize_resize({**answer, "processes": 2}).endswith("was 4, in its child process too")
    assert summary.summarize_resize({**answer, "processes": 4}).endswith("was 4, in each of 3 child processes")
