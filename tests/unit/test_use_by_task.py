"""The use by task of several pools: added up, exported, and shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from celery_geventpool import by_task, summary
from celery_geventpool.metrics.totals_by_task import TotalsByTask
from celery_geventpool.top.samples import Sample
from celery_geventpool.top.tasks import draw
from django_geventpool.pool.counters import BOUNDS
from django_geventpool.pool.use_by_task import LIMIT, NO_TASK, OTHER


def times(*seconds: int) -> dict[str, Any]:
    counts = [len(seconds), *[0] * len(BOUNDS)]
    return {"count": len(seconds), "total": float(sum(seconds)), "p50": 0.0, "p95": 0.0, "counts": counts}


def use(task: str, *held: int, **numbers: Any) -> dict[str, Any]:
    return {
        "task": task,
        "use_time": times(*held),
        "wait_time": times(),
        "in_use": 0,
        "longest_held": 0.0,
        "held": float(sum(held)),
        "waiting": 0,
        "timeouts": 0,
        "killed": 0,
        "pinned": 0,
        "seen": {},
        "checkouts": len(held),
        **numbers,
    }


def pool(*uses: dict[str, Any], alias: str = "default", pid: int = 1, waiting: int = 0) -> dict[str, Any]:
    checkouts = sum(each["checkouts"] for each in uses)
    return {"alias": alias, "pid": pid, "use_by_task": list(uses), "checkouts": checkouts, "waiting": waiting}


def test_the_pools_of_several_processes_are_added_up_by_alias() -> None:
    merged = by_task.merged(
        [
            pool(use("a", 1, 2, seen={"idle": 1}), pid=1),
            pool(use("b", 1), use("a", 7, timeouts=2, seen={"idle": 1, "active": 2}), pid=2),
            pool(use("a", 100), alias="reports", pid=1),
        ]
    )
    assert list(merged) == ["default", "reports"]
    a, b = merged["default"]
    assert (a["task"], a["checkouts"], a["held"], a["timeouts"]) == ("a", 3, 10, 2)
    assert a["use_time"]["count"] == 3
    assert by_task.shares(a) == (0.5, 0)
    assert (b["task"], b["checkouts"]) == ("b", 1)


def test_so_many_tasks_are_shown_as_a_pool_keeps() -> None:
    uses = [use(f"t{number}", number) for number in range(LIMIT)]
    (merged,) = by_task.merged([pool(*uses), pool(use(OTHER, 1), use("new", 5), pid=2)]).values()
    assert len(merged) == LIMIT
    assert sum(each["checkouts"] for each in merged) == LIMIT + 2
    assert OTHER in [each["task"] for each in merged]


def test_a_total_never_falls_when_a_process_ends_is_silent_or_makes_a_new_pool() -> None:
    totals = TotalsByTask()

    def checkouts(*pools: dict[str, Any], silent: tuple[int, ...] = ()) -> int:
        return int(totals.add(pools, silent)["default", "a"]["checkouts"])

    one, two = pool(use("a", 1, 1, in_use=1), pid=1), pool(use("a", 1), pid=2)
    assert checkouts(one, two) == 3
    assert checkouts(two, silent=(1,)) == 3, "silent"
    assert checkouts(one, two) == 3, "heard again"
    assert checkouts(two) == 3, "gone"
    assert totals.add([two])["default", "a"]["in_use"] == 0
    assert checkouts(two, pool(use("a", 1), pid=3)) == 4
    assert checkouts(pool(use("a"), pid=2), pool(use("a", 1), pid=3)) == 4, "a new pool of the same process"


def answer(*pools: dict[str, Any]) -> Sample:
    return Sample("w@host", 1.0, {"pools": list(pools), "unused": {}, "tasks": 0, "silent": []})


def test_top_shows_who_holds_now_first_and_no_markup() -> None:
    uses = (
        use("much", 100),
        use("[red]now[/red]", 1, in_use=2, seen={"idle in transaction": 3, "active": 1}),
        use(NO_TASK),
    )
    console = Console(file=io.StringIO(), width=160)
    console.print(draw([answer(pool(*uses, waiting=1))], console))
    lines = [line.split() for line in console.file.getvalue().splitlines() if line.strip()]  # type: ignore[attr-defined]
    assert lines[2][:8] == ["[red]now[/red]", "default", "1%", "2", "0", "75%", "75%", "0"]
    assert lines[3][:4] == ["much", "default", "99%", "0"]
    assert len(lines) == 4, "what is not used isn't shown"


def test_inspect_shows_the_use_by_task_in_words() -> None:
    uses = use("a", 3, timeouts=2, seen={"idle": 3, "active": 1}), use(NO_TASK, 1)
    assert "\n".join(summary.describe_tasks("default", list(uses))) == (
        "default by task:\n"
        "    a: 75% of the use, 1 checkout, 2 timeouts; wait: none; use: p50 ~0 ms, p95 ~0 ms\n"
        "        in no query for 75% of that time, by 4 looks\n"
        "    outside of tasks: 25% of the use, 1 checkout; wait: none; use: p50 ~0 ms, p95 ~0 ms"
    )


@pytest.mark.parametrize("name", ['a"b\\c', "shop.a"])
def test_prometheus_and_opentelemetry_have_the_tasks_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("prometheus_client")
    pytest.importorskip("opentelemetry.sdk")
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    from celery_geventpool.metrics.prometheus import PoolCollector
    from celery_geventpool.task import TaskLabel
    from django_geventpool import pools
    from django_geventpool.options import PoolOptions
    from django_geventpool.pool import Pool
    from django_geventpool.pool import holder as holders
    from tests.support.otel import exported_metrics
    from tests.support.scripted import ScriptedDriver

    monkeypatch.setattr(holders, "describe", lambda: TaskLabel(name, "1"))
    made = pools.obtain("default", None, lambda: Pool("default", ScriptedDriver(), PoolOptions()))
    made.putconn(made.getconn())
    registry = CollectorRegistry(auto_describe=True)
    registry.register(PoolCollector("w@host"))
    samples = {
        (sample.name, sample.labels.get("task")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }
    assert samples["geventpool_use_seconds_count", name] == 1
    assert samples["geventpool_task_in_use", name] == 0
    assert samples["geventpool_wait_seconds_count", name] == 0
    assert samples["geventpool_use_seconds_count", None] == 0, "what was outside of tasks has no such label"
    points = exported_metrics()["db.client.connection.use_time"].data.data_points
    assert {(point.attributes or {}).get("code.function.name"): getattr(point, "count", None) for point in points} == {
        None: 0,
        name: 1,
    }
    pools.close_all()
