"""The label of the request that a web process works on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.dispatch import Signal

from django_geventpool import web_request
from tests.support.fresh import run_fresh

request_started, request_finished = Signal(), Signal()


@pytest.fixture(autouse=True)
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to signals of the test's own, as Django's have receivers that need settings."""
    monkeypatch.setattr(web_request, "request_started", request_started)
    monkeypatch.setattr(web_request, "request_finished", request_finished)
    web_request.connect()
    web_request.connect()
    assert len(request_started.receivers) == len(request_finished.receivers) == 1
    request_finished.send(None)


def environ(path: str, **more: str) -> dict[str, str]:
    return {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "token=secret", **more}


def described() -> str:
    return str(web_request.describe_current_request())


def test_a_request_is_named_by_method_and_path_without_its_query_string() -> None:
    request_started.send(None, environ=environ("/orders/17/", SCRIPT_NAME="/shop"))
    assert described() == "request GET /shop/orders/17/"


def test_a_path_is_shown_as_it_was_sent_and_breaks_no_line() -> None:
    request_started.send(None, environ=environ("/caf\xc3\xa9/\nERROR"))
    assert described() == "request GET /caf%C3%A9/%0AERROR"


def test_an_asynchronous_request_is_named_alike() -> None:
    request_started.send(None, scope={"method": "POST", "path": "/café/", "query_string": b"token=secret"})
    assert described() == "request POST /caf%C3%A9/"


def test_outside_of_requests_there_is_nothing_to_name() -> None:
    assert web_request.describe_current_request() is None
    request_started.send(None, environ=environ("/"))
    request_finished.send(None)
    assert web_request.describe_current_request() is None


def test_other_threads_have_other_requests() -> None:
    request_started.send(None, environ=environ("/mine/"))
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(web_request.describe_current_request()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert described() == "request GET /mine/"


GREENLETS = {
    "gevent": "from gevent import monkey; monkey.patch_all()\nfrom gevent import spawn\nwait = lambda task: task.get()",
    "eventlet": "import eventlet; eventlet.monkey_patch()\nfrom eventlet import spawn\nwait = lambda task: task.wait()",
}


@pytest.mark.parametrize("framework", GREENLETS)
def test_each_greenlet_has_its_own_also_when_patched_after_the_import(framework: str) -> None:
    assert run_fresh(
        f"""
from django_geventpool import web_request
web_request.describe_current_request()
from django.conf import settings; settings.configure()
{GREENLETS[framework]}
import time
from django.core.signals import request_started
web_request.connect()

def serve(number):
    request_started.send(None, environ={{"REQUEST_METHOD": "GET", "PATH_INFO": f"/{{number}}"}})
    time.sleep(0.01)
    return str(web_request.describe_current_request())

tasks = [spawn(serve, number) for number in range(3)]
print(*map(wait, tasks), web_request.describe_current_request())
"""
    ) == ["request GET /0 request GET /1 request GET /2 None"]


def test_the_threads_of_django_that_serve_asynchronous_views_know_their_request() -> None:
    lines = run_fresh(
        """
import asyncio, sys, types
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", SECRET_KEY="x")
import django; django.setup()
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path
from django_geventpool import web_request

web_request.connect()

def name():
    return str(web_request.describe_current_request())

async def asynchronous(_request, number):
    await asyncio.sleep(0.01)
    return HttpResponse(await sync_to_async(name)())

def synchronous(_request, number):
    return HttpResponse(name())

urls = sys.modules["urls"] = types.ModuleType("urls")
urls.urlpatterns = [path("a/<int:number>", asynchronous), path("s/<int:number>", synchronous)]
application = get_asgi_application()

async def get(path):
    sent = []
    body = asyncio.Queue()
    body.put_nowait({"type": "http.request"})
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await application(scope, body.get, send)
    return sent[1]["body"].decode()

async def main():
    return await asyncio.gather(*(get(f"/{kind}/{number}") for kind in "as" for number in range(3)))

print(*asyncio.run(main()), sep="\\n")
"""
    )
    assert lines == [f"request GET /{kind}/{number}" for kind in "as" for number in range(3)]


VIEWS = """
import asyncio, sys, types
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", SECRET_KEY="x", USE_I18N=False)
import django; django.setup()
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django_geventpool import web_request

web_request.connect()
labels = []

def keep(get_response):
    def middleware(request):
        labels.append(web_request.describe_current_request())
        before = labels[-1].name
        response = get_response(request)
        print(before, "|", labels[-1].name)
        return response
    return middleware

def shop(request, **_parameters):
    return HttpResponse()

urls = sys.modules["urls"] = types.ModuleType("urls")
urls.urlpatterns = [path("orders/<int:number>/", shop, name="order"), path("all/", shop)]
urls.keep = keep
settings.MIDDLEWARE = ["urls.keep"]
"""


def test_a_request_is_counted_under_the_name_of_its_view_from_where_django_has_found_it() -> None:
    assert run_fresh(VIEWS + 'for path in ("orders/17/", "all/", "none/"): Client().get(f"/{path}")') == [
        "no view | order",
        "no view | __main__.shop",
        "no view | no view",
    ]


def test_asynchronous_requests_are_counted_alike() -> None:
    assert run_fresh(VIEWS + 'asyncio.run(AsyncClient().get("/orders/17/"))') == ["no view | order"]
