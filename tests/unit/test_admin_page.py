"""What the admin's page knows of all pools: who is asked how often, and what becomes of the answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from celery_geventpool.admin_page.collector import Collector
from celery_geventpool.admin_page.line import BrokerDown, Line, Outcome, find_app
from django_geventpool.pool.counters import BOUNDS
from servers.ports import HOST, free_ports
from tests.support.fresh import run_fresh
from tests.support.waiting import DEADLINE, eventually

WORKER = "w@host"


def times(*buckets: int) -> dict[str, Any]:
    counts = [*buckets, *[0] * (len(BOUNDS) + 1 - len(buckets))]
    return {"count": sum(counts), "total": 1.0, "counts": counts}


def pool(**numbers: Any) -> dict[str, Any]:
    gauges = {"limit": 4, "in_use": 2, "idle": 1, "waiting": 0, "connecting": 0}
    more = {"timeouts": 0, "wait_time": times(), "holders": [], "connect_failed_ago": None, "fleet": None}
    return {"alias": "default", "pid": 7, **gauges, **more, **numbers}


def answer(*pools: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pools": list(pools), "unused": {}, "silent": [], "tasks": 1, **more}


def holder(**more: Any) -> dict[str, Any]:
    return {"holder": "task a[1]", "task": "a", "task_id": "1", "held": 3.0, "state": "active", **more}


class Scene:
    """A collector, its clock, and workers who answer at once unless they are told not to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.outcome: Outcome | None = {}
        self.own: list[dict[str, Any]] = []
        #: How long workers take (seconds).
        self.takes = 0.0
        self.given: list[Callable[[Outcome], object]] = []
        self.collector = Collector(self._ask, lambda: self.own, lambda: self.now)

    def _ask(self, command: str, timeout: float, answer: Callable[[Outcome], object], **arguments: Any) -> None:
        assert (command, arguments) == ("pools", {"options": ["holders", "buckets"]})
        self.asked += 1
        self.given.append(answer)
        if self.outcome is None:
            self.now += self.takes
        else:
            # From another thread, as a line does.
            threading.Thread(target=answer, args=(self.outcome,)).start()

    def look(self, outcome: Outcome | None = None, after: float = 0.0) -> dict[str, Any]:
        """Let workers answer so; return what the page shows then."""
        self.now += after
        self.outcome = outcome if outcome is not None else self.outcome
        self.collector.look()
        picture = self.collector.picture()
        json.dumps(picture, allow_nan=False)
        return picture


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_all_who_look_at_the_same_time_ask_once(scene: Scene) -> None:
    scene.outcome = None
    viewers = [threading.Thread(target=scene.collector.look) for _ in range(20)]
    for viewer in viewers:
        viewer.start()
    eventually(lambda: scene.given, "a question")
    scene.given[0]({WORKER: answer(pool())})
    for viewer in viewers:
        viewer.join(DEADLINE)
    assert scene.asked == 1
    assert [each["worker"] for each in scene.collector.picture()["pools"]] == [WORKER]


def test_for_most_of_a_second_nobody_is_asked_again(scene: Scene) -> None:
    scene.look({WORKER: answer(pool())})
    assert scene.look(after=0.5)["age"] == 0.5
    assert scene.asked == 1
    assert scene.look(after=0.6)["age"] == 0
    assert scene.asked == 2


def test_after_a_change_all_are_asked_again_even_if_they_are_being_asked(scene: Scene) -> None:
    scene.look({WORKER: answer(pool())})
    scene.now += 0.1
    scene.collector.expire()
    scene.outcome = None
    viewer = threading.Thread(target=scene.collector.look)
    viewer.start()
    eventually(lambda: len(scene.given) == 2, "a question")
    scene.now += 0.1
    scene.collector.expire()
    scene.outcome = {WORKER: answer(pool(limit=9))}
    scene.given[1]({WORKER: answer(pool(limit=4))})
    viewer.join(DEADLINE)
    assert scene.asked == 3
    assert scene.collector.picture()["pools"][0]["limit"] == 9


def test_a_worker_that_is_late_is_shown_for_a_minute(scene: Scene) -> None:
    scene.look({WORKER: answer(pool()), "other@host": answer(pool())})
    picture = scene.look({"other@host": answer(pool())}, after=10)
    assert {each["worker"]: (each["is_late"], each["age"]) for each in picture["pools"]} == {
        WORKER: (True, 10.0),
        "other@host": (False, 0.0),
    }
    picture = scene.look(after=51)
    assert [each["worker"] for each in picture["pools"]] == ["other@host"]
    assert scene.collector.workers() == ["other@host"]


def test_nobody_answers(scene: Scene) -> None:
    scene.own = [pool()]
    picture = scene.look({})
    assert picture["error"]["code"] == "no_workers"
    assert [(each["worker"], each["kind"]) for each in picture["pools"]] == [("this web process", "web")]


def test_the_broker_is_down_and_comes_back(scene: Scene) -> None:
    scene.look({WORKER: answer(pool())})
    picture = scene.look(BrokerDown("it is away"), after=2)
    assert picture["error"] == {"code": "broker_down", "message": "The broker can't be reached: it is away."}
    assert (picture["pools"][0]["is_late"], picture["pools"][0]["age"]) == (True, 2.0)
    picture = scene.look({WORKER: answer(pool())}, after=2)
    assert picture["error"] is None
    assert picture["pools"][0]["is_late"] is False


def test_a_broker_that_never_answers_keeps_nobody_for_long(scene: Scene) -> None:
    scene.outcome, scene.takes = None, 100.0
    assert scene.look()["error"]["code"] == "broker_down"
    assert scene.look()["error"]["code"] == "broker_down"
    # One question is enough, as long as it is open.
    assert scene.asked == 1


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "text",
        [],
        {},
        {"pools": None},
        {"pools": 5, "unused": []},
        {"pools": ["default"], "unused": {}},
        answer(pool(limit=float("nan"))),
        answer(pool(limit=True)),
        answer(pool(in_use=-1)),
        answer(pool(waiting=10**5000)),
        answer(pool(alias=["default"])),
        answer(pool(holders=[holder(held=float("inf"))])),
        # No float holds it.
        answer(pool(holders=[holder(held=10**400)])),
        answer(pool(connect_failed_ago=10**400)),
        answer(pool(holders=[holder(holder=None)])),
        answer(pool(fleet={"limit": "many"})),
        answer(unused={"default": "4"}),
        {"error": ["no text"]},
        {"error": "KeyError('pools')"},
    ],
)
def test_an_answer_that_makes_no_sense_becomes_a_note_and_hides_no_other(scene: Scene, hostile: object) -> None:
    picture = scene.look({"a@host": hostile, WORKER: answer(pool())})
    assert [each["worker"] for each in picture["pools"]] == [WORKER]
    (note,) = picture["notes"]
    assert note.startswith("a@host ")


def test_only_what_the_page_shows_is_passed_on(scene: Scene) -> None:
    secret = {"query": "SELECT secret", "dsn": "password=secret"}
    given = answer(pool(**secret, holders=[holder(**secret, state="SELECT secret")]), **secret)
    assert "secret" not in json.dumps(scene.look({WORKER: given}))


def test_markup_stays_text_and_control_characters_are_written_out(scene: Scene) -> None:
    given = answer(pool(holders=[holder(task="<b>x</b>", holder="a\x1b[31m\n")]))
    (shown,) = scene.look({"<i>@host\n": given})["pools"]
    assert shown["worker"] == r"<i>@host\n"
    assert shown["holders"][0]["task"] == "<b>x</b>"
    assert shown["holders"][0]["holder"] == r"a\x1b[31m\n"


def test_of_many_holders_those_of_longest_are_shown(scene: Scene) -> None:
    holders = [holder(held=float(number), task_id=str(number)) for number in range(80)]
    (shown,) = scene.look({WORKER: answer(pool(holders=holders))})["pools"]
    assert shown["holders_total"] == 80
    assert [each["held"] for each in shown["holders"]] == [float(number) for number in range(79, 29, -1)]


def test_an_older_worker_is_shown_without_what_it_does_not_tell(scene: Scene) -> None:
    older = {name: pool()[name] for name in ("alias", "pid", "limit", "in_use", "idle", "waiting")}
    picture = scene.look({WORKER: {"pools": [older]}})
    (shown,) = picture["pools"]
    assert (shown["in_use"], shown["wait_p50"], shown["fleet"]) == (2, None, None)
    assert "older version" in picture["notes"][0]


def test_processes_that_are_silent_are_noted(scene: Scene) -> None:
    assert scene.look({WORKER: answer(pool(), silent=[4, 5])})["notes"] == [
        f"{WORKER}: 2 processes did not answer in time."
    ]


def test_a_pool_that_is_not_used_yet_has_no_process(scene: Scene) -> None:
    (shown,) = scene.look({WORKER: answer(unused={"reports": 3})})["pools"]
    assert (shown["key"], shown["pid"], shown["limit"], shown["history"]) == (f"{WORKER}||reports", None, 3, [])


def test_waits_and_timeouts_are_those_of_the_last_minute(scene: Scene) -> None:
    scene.look({WORKER: answer(pool(wait_time=times(100), timeouts=5))})
    (shown,) = scene.look({WORKER: answer(pool(wait_time=times(100, 0, 0, 0, 4), timeouts=6))}, after=10)["pools"]
    assert shown["wait_p50"] > 0.01
    assert shown["timeouts"] == 6
    assert shown["trouble"] == ["1 request got no connection in time lately."]
    scene.look(after=50)
    (shown,) = scene.look(after=30)["pools"]
    assert (shown["wait_p50"], shown["wait_p95"], shown["trouble"]) == (None, None, [])


def test_the_history_is_that_of_five_minutes(scene: Scene) -> None:
    for number in range(400):
        scene.look({WORKER: answer(pool(in_use=number % 5, waiting=1))}, after=2.5)
    (shown,) = scene.look(after=0.5)["pools"]
    assert shown["history"][-1] == [0.5, 4, 1, 4]
    assert shown["history"][0][0] == pytest.approx(300, abs=3)
    assert len(shown["history"]) == 121


def test_trouble_is_said(scene: Scene) -> None:
    fleet = {"age": 0.1, "scope": "role", "owner": "shop", "limit": 8, "sessions": 8, "pools": 2, "demand": 9}
    others = {"strangers": 1, "others": {"psql": 1}, "max_conns": 9}
    idle = holder(task="shop.tasks.slow", held=12.0, state="idle in transaction")
    given = pool(
        in_use=4, waiting=2, connect_failed_ago=3.0, holders=[idle, holder()], fleet={**fleet, **others},
        fleet_limit=6, fleet_share=3,
    )  # fmt: skip
    (shown,) = scene.look({WORKER: answer(given)})["pools"]
    assert shown["fleet"] == {
        "limit": 8,
        "budget": 6,
        "share": 3,
        "demand": 4,
        "scope_text": "CONNECTION LIMIT of the role shop",
        "sessions": 8,
        "pools": 2,
        "others": "psql 1",
    }
    assert shown["trouble"] == [
        "Connecting to the server failed 3.0 s ago.",
        "2 requests wait, and all connections are in use.",
        "shop.tasks.slow has had a connection for 12.0 s, and is in a transaction without a query.",
        "The server is full: 8 of 8 sessions (CONNECTION LIMIT of the role shop).",
    ]


def test_why_the_broker_is_away_is_said_without_its_password() -> None:
    app = Celery("page", set_as_current=False, broker=f"redis://user:not-to-be-said@{HOST}:{free_ports(1)[0]}/0")
    line = Line(lambda: app)
    outcome = line.replies("pools", 1.0, destination=None)
    assert isinstance(outcome, BrokerDown)
    assert str(outcome) == "Connection refused"
    # It can be asked again.
    assert isinstance(line.replies("pools", 1.0, destination=None), BrokerDown)


@pytest.mark.parametrize("others", ["", "remember_app(); Celery('another')"])
def test_in_other_threads_the_app_is_the_projects_too(others: str) -> None:
    found = run_fresh(
        f"""
        import threading
        from celery import Celery
        from {find_app.__module__} import find_app, remember_app
        app = Celery("shop")
        {others}
        client = Celery("client", set_as_current=False)
        thread = threading.Thread(target=lambda: print(find_app() is app))
        thread.start()
        thread.join()
        print(find_app() is app)
        """
    )
    assert found == ["True", "True"]


def test_it_works_without_djangos_admin_and_users() -> None:
    (line,) = run_fresh(
        """
        import django, sys
        from django.conf import settings
        settings.configure(INSTALLED_APPS=["celery_geventpool"])
        django.setup()
        from django.core.management import call_command
        call_command("check")
        print("django.contrib.auth" in sys.modules or "django.contrib.contenttypes" in sys.modules)
        """
    )[-1:]
    assert line == "False"
