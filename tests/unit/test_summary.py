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
    "fleet": None,
}
FLEET: dict[str, Any] = {
    "age": 0.4,
    "scope": "role",
    "owner": "shop",
    "limit": 25,
    "sessions": 23,
    "pools": 8,
    "demand": 80,
    "max_conns": 80,
    "strangers": 3,
    "others": {"psql": 2, "role reporting": 1},
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


def test_the_fleet_in_one_line() -> None:
    pool = {**POOL, "limit": 10, "in_use": 3, "waiting": 30, "fleet_limit": 22, "fleet_share": 3, "fleet": FLEET}
    text = summary.summarize({"pools": [pool], "unused": {}, "silent": []})
    assert "default: 3 of 10 in use, 0 idle, 30 waiting\n" in text
    assert (
        "\n    fleet: share 3, demand 10; limit 25 (CONNECTION LIMIT of the role shop), 23 sessions: 20 of 8 pools, "
        "which may have 22 and want 80, 3 of others (psql 2, role reporting 1); seen 400 ms ago"
    ) in text


def test_of_many_others_most_are_named() -> None:
    fleet = {**FLEET, "scope": "server", "owner": "", "pools": 1, "sessions": 1, "strangers": 9, "others": {"psql": 2}}
    text = summary.summarize({"pools": [{**POOL, "fleet": fleet}], "unused": {}, "silent": []})
    assert "limit 25 (max_connections without reserved ones), 1 session: " in text
    assert "of 1 pool, which may have 0 and wants 80, 9 of others (psql 2, and 7 more); " in text


def test_nothing_is_said_of_a_fleet_that_was_not_looked_at() -> None:
    assert "fleet" not in summary.summarize({"pools": [POOL], "unused": {}, "silent": []})


def test_a_list_that_can_not_be_read_is_told() -> None:
    text = summary.summarize({"pools": [{**POOL, "is_fleet_readable": False}], "unused": {}, "silent": []})
    assert "\n    fleet: not known: the server's session list can't be read, or a pooler is in between" in text
