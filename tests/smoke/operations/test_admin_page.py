"""The page "Connection pools" in Django's admin: who may see and change what, and what workers do then."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import celery
import pytest

from servers.postgres import PostgresServer
from servers.redis import RedisNotFound, RedisServer
from tests.support.waiting import DEADLINE, eventually

from ..admin_site import client_of, make_site
from ..conftest import StartWorker
from ..workers import Worker, result_of

if TYPE_CHECKING:
    from django.test import Client

PAGE = "/admin/celery_geventpool/connectionpools/"
LIMIT = 3
VIEWERS = 10
PASSWORD = "not-to-be-shown"


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    try:
        server = RedisServer()
    except RedisNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="module")
def workers(broker: RedisServer, start_module_worker: StartWorker) -> list[Worker]:
    """A worker of gevent that has all tasks, and one of threads that has none; their logs tell of each command."""
    workers = [
        start_module_worker(
            pool,
            {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 60},
            settings={"broker_url": broker.url},
            database={"PASSWORD": PASSWORD},
            arguments=arguments,
            loglevel="DEBUG",
        )
        for pool, arguments in (("gevent", []), ("threads", ["--queues", "none"]))
    ]
    for worker in workers:
        worker.await_answer()
    return workers


@pytest.fixture(scope="module")
def site(server: PostgresServer, broker: RedisServer) -> celery.Celery:
    """A site with the admin, in this process."""
    return make_site(server, broker.url, VIEWERS + 2)


def _expire() -> None:
    """Have the next one who looks ask the workers."""
    from celery_geventpool.admin_page.collector import collector_and_line

    collector_and_line()[0].expire()


@pytest.fixture(autouse=True)
def fresh(site: celery.Celery) -> None:
    """Let no test see what another has asked for."""
    _expire()


def data(client: Client) -> dict[str, Any]:
    response = client.get(f"{PAGE}data/")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def of(worker: Worker, found: dict[str, Any]) -> dict[str, Any]:
    (pool,) = (pool for pool in found["pools"] if pool["worker"] == worker.hostname)
    return dict(pool)


def resize(client: Client, worker: str = "", alias: str = "default", limit: object = LIMIT) -> Any:
    return client.post(f"{PAGE}resize/", {"worker": worker, "alias": alias, "limit": limit})


def limits(workers: list[Worker]) -> list[int]:
    return [worker.control("pool_resize", alias="default", limit=LIMIT)["before"] for worker in workers]


def test_migrate_makes_the_permissions_and_nothing_else(site: celery.Celery) -> None:
    from django.contrib.auth.models import Permission
    from django.core.management import call_command
    from django.db import connection

    from celery_geventpool.models import ConnectionPools

    found = Permission.objects.filter(content_type__app_label="celery_geventpool").values_list("codename", flat=True)
    assert sorted(found) == ["change_connectionpools", "view_connectionpools"]
    assert not [name for name in connection.introspection.table_names() if "geventpool" in name]
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    call_command("check")
    # Whoever goes through all models finds no rows, and asks for no table.
    output = io.StringIO()
    call_command("dumpdata", "celery_geventpool", use_base_manager=True, stdout=output)
    assert json.loads(output.getvalue()) == []
    assert ConnectionPools.objects.count() == 0


def test_without_a_session_there_is_a_login_and_for_scripts_an_error(site: celery.Celery) -> None:
    from django.test import Client

    client = Client()
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
    for response in (client.get(f"{PAGE}data/"), resize(client), client.post(f"{PAGE}close-idle/")):
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "no_session"


def test_without_a_permission_there_is_nothing(site: celery.Celery) -> None:
    client = client_of("nothing")
    assert "connectionpools" not in client.get("/admin/").content.decode()
    assert client.get(PAGE).status_code == 403
    for response in (client.get(f"{PAGE}data/"), resize(client), client.post(f"{PAGE}close-idle/")):
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forbidden"


def test_who_may_see_may_not_change(site: celery.Celery, workers: list[Worker]) -> None:
    client = client_of("view")
    page = client.get(PAGE)
    assert page.status_code == 200
    assert PAGE in client.get("/admin/").content.decode()
    assert data(client)["may_change"] is False
    assert resize(client, limit=9).status_code == 403
    assert client.post(f"{PAGE}close-idle/", {"alias": "default"}).status_code == 403
    assert limits(workers) == [LIMIT, LIMIT]


def test_there_are_no_pages_of_objects(site: celery.Celery) -> None:
    client = client_of("root")
    for path in ("add/", "1/change/", "1/delete/", "1/history/"):
        assert client.get(PAGE + path).status_code == 404


def test_a_forged_request_changes_nothing(site: celery.Celery, workers: list[Worker]) -> None:
    client = client_of("root", enforce_csrf_checks=True)
    assert resize(client, limit=9).status_code == 403
    assert client.post(f"{PAGE}close-idle/", {"alias": "default"}).status_code == 403
    assert limits(workers) == [LIMIT, LIMIT]
    # By the same means, with the token that the page has.
    client.get("/admin/password_change/")
    token = client.cookies["csrftoken"].value
    form = {"worker": "", "alias": "default", "limit": LIMIT}
    assert client.post(f"{PAGE}resize/", form, headers={"X-CSRFToken": token}).status_code == 200


def test_nothing_is_changed_by_a_link(site: celery.Celery) -> None:
    client = client_of("root")
    assert client.get(f"{PAGE}resize/", {"worker": "", "alias": "default", "limit": 9}).status_code == 405
    assert client.get(f"{PAGE}close-idle/", {"worker": "", "alias": "default"}).status_code == 405


HOSTILE_LIMITS = ["", "0", "-1", "1e3", "4.5", "٤", "4 ", "999999999999", "4;DROP TABLE x", "\0", "None", "9" * 10_000]
HOSTILE_ALIASES = ["", "nope", "default\n", "' OR 1=1 --", "<b>default</b>", "\0", "d" * 10_000]


def test_hostile_limits(site: celery.Celery, workers: list[Worker]) -> None:
    client = client_of("root")
    for limit in HOSTILE_LIMITS:
        response = resize(client, limit=limit)
        assert response.status_code == 400
        message = response.json()["error"]["message"]
        assert message.startswith("The limit must be a whole number from 1 to 262143, not ")
        assert len(message) < 200
    assert limits(workers) == [LIMIT, LIMIT]


@pytest.mark.parametrize("action", ["resize", "close-idle"])
def test_hostile_aliases(site: celery.Celery, workers: list[Worker], action: str) -> None:
    client = client_of("root")
    for alias in HOSTILE_ALIASES:
        response = client.post(f"{PAGE}{action}/", {"worker": "", "alias": alias, "limit": 9})
        assert response.status_code == 400
        message = response.json()["error"]["message"]
        assert message.startswith("No worker has a pool ")
        assert message.endswith("Those that there are: default.")
        assert len(message) < 200
    assert limits(workers) == [LIMIT, LIMIT]


def test_workers_that_there_are_not(site: celery.Celery, workers: list[Worker]) -> None:
    client = client_of("root")
    for worker in ("nobody@host", "this web process", "*", "[]"):
        assert resize(client, worker=worker, limit=9).status_code == 400
    assert limits(workers) == [LIMIT, LIMIT]


def test_who_holds_connections_and_what_the_worker_does_at_a_new_limit(
    site: celery.Celery, workers: list[Worker]
) -> None:
    worker = workers[0]
    client = client_of("change")
    gate = worker.new_gate()
    tasks = worker.send_many(LIMIT + 2, "query_until", gate)
    eventually(lambda: worker.numbers()["waiting"] == 2, "two tasks that wait")
    worker.await_active(LIMIT)
    text = client.get(f"{PAGE}data/").content.decode()
    pool = of(worker, json.loads(text))
    assert (pool["limit"], pool["in_use"], pool["waiting"], pool["holders_total"]) == (LIMIT, LIMIT, 2, LIMIT)
    assert {held["task"] for held in pool["holders"]} == {"smoke_project.tasks.query_until"}
    assert {held["task_id"] for held in pool["holders"]} <= {task.id for task in tasks}
    assert "2 requests wait, and all connections are in use." in pool["trouble"]
    for secret in ("pg_sleep", "SELECT", gate, PASSWORD):
        assert secret not in text
    changed = resize(client, worker.hostname, limit=LIMIT + 2).json()
    assert changed == {
        "changed": [{"worker": worker.hostname, "alias": "default", "before": LIMIT, "after": LIMIT + 2}],
        "errors": [],
    }
    worker.await_active(LIMIT + 2)
    pool = of(worker, data(client))
    assert (pool["limit"], pool["waiting"]) == (LIMIT + 2, 0)
    assert pool["history"][-1][1:] == [LIMIT + 2, 0, LIMIT + 2]
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)
    assert limits([worker]) == [LIMIT + 2]
    assert _log() == (
        "change",
        f"default of {worker.hostname}",
        f"Limit of the pool default of {worker.hostname}: {LIMIT} before, now {LIMIT + 2}.",
    )
    assert f"default of {worker.hostname}" in client_of("change").get("/admin/").content.decode()


def _log() -> tuple[str, str, str]:
    """Return the last entry of the admin's log: who, what, and how it was changed."""
    from django.contrib.admin.models import CHANGE, LogEntry

    entry = LogEntry.objects.latest("id")
    assert entry.action_flag == CHANGE
    assert entry.content_type is not None
    assert entry.content_type.model == "connectionpools"
    return entry.user.get_username(), entry.object_repr, entry.get_change_message()


def test_all_workers_are_resized_at_once(site: celery.Celery, workers: list[Worker]) -> None:
    answer = resize(client_of("root"), limit=LIMIT + 1).json()
    assert answer["errors"] == []
    assert {each["worker"]: each["after"] for each in answer["changed"]} == {
        worker.hostname: LIMIT + 1 for worker in workers
    }
    assert limits(workers) == [LIMIT + 1, LIMIT + 1]


def test_idle_connections_are_closed(site: celery.Celery, workers: list[Worker]) -> None:
    worker = workers[0]
    worker.run("double", 1)
    eventually(lambda: worker.is_quiet() and worker.connections(), "an idle connection")
    count = worker.connections()
    form = {"worker": worker.hostname, "alias": "default"}
    answer = client_of("root").post(f"{PAGE}close-idle/", form).json()
    assert answer == {"changed": [{"worker": worker.hostname, "closed": {"default": count}}], "errors": []}
    eventually(lambda: worker.connections() == 0, "no connection")
    message = f"Idle connections of the pool default of {worker.hostname}: {count} before, {count} closed."
    assert _log() == ("root", f"default of {worker.hostname}", message)


def test_what_workers_have_done_is_said_even_if_it_can_not_be_logged(
    site: celery.Celery, workers: list[Worker]
) -> None:
    from django.db import connection

    client = client_of("root")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_admin_log RENAME TO away")
    answer = resize(client).json()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE away RENAME TO django_admin_log")
    assert len(answer["changed"]) == len(workers)
    assert answer["errors"] == [{"worker": "", "message": "The admin's log could not be written (ProgrammingError)."}]


def questions(worker: Worker) -> int:
    """Return how often the worker was asked for its pools."""
    return len(re.findall(r"pidbox received method pools\(", worker.log))


def test_ten_viewers_cost_a_worker_as_much_as_one(site: celery.Celery, workers: list[Worker]) -> None:
    clients = [client_of("view") for _ in range(VIEWERS)]
    data(clients[0])
    before = [questions(worker) for worker in workers]
    together = threading.Barrier(VIEWERS)
    seen: list[int] = []

    def watch(client: Client) -> None:
        from django.db import connection

        with closing(connection):
            together.wait(DEADLINE)
            seen.append(len([pool for pool in data(client)["pools"] if pool["kind"] == "worker"]))

    _expire()
    viewers = [threading.Thread(target=watch, args=(client,)) for client in clients]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join(DEADLINE)
    assert seen == [len(workers)] * VIEWERS
    assert [questions(worker) for worker in workers] == [count + 1 for count in before]


def test_who_waits_for_workers_holds_no_connection(site: celery.Celery, workers: list[Worker]) -> None:
    from django.db import connection

    connection.close()
    client = client_of("view")
    connection.close()
    (own,) = (pool for pool in data(client)["pools"] if pool["kind"] == "web")
    assert (own["worker"], own["in_use"]) == ("this web process", 0)
    assert own["idle"] > 0


def test_a_broker_that_stops_and_comes_back(site: celery.Celery, broker: RedisServer, workers: list[Worker]) -> None:
    client = client_of("root")
    assert data(client)["error"] is None
    broker.stop()
    try:
        _expire()
        found = data(client)
        assert found["error"]["code"] == "broker_down"
        # The page stays usable.
        assert {pool["is_late"] for pool in found["pools"] if pool["kind"] == "worker"} == {True}
        assert client.get(PAGE).status_code == 200
        answer = resize(client, limit=9)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "broker_down"
    finally:
        broker.start()
    found = eventually(lambda: _all_there(client, workers), "answers of all workers")
    assert found["error"] is None
    assert 9 not in limits(workers)


def _all_there(client: Client, workers: list[Worker]) -> dict[str, Any] | None:
    found = data(client)
    there = [pool for pool in found["pools"] if pool["kind"] == "worker" and not pool["is_late"]]
    return found if len(there) == len(workers) else None
