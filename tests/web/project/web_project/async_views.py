"""Asynchronous views that query the database in each of Django's ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from library.models import Module

from django_geventpool.utils import close_connection

from .views import CHUNK, backend_pid, seconds_of

#: Tasks that go on after their request; asyncio itself keeps no references to tasks.
_left_behind: set[asyncio.Task[int]] = set()


async def orm(request: HttpRequest) -> HttpResponse:
    """Query by Django's asynchronous methods."""
    module = await Module.objects.aget(path=request.GET["path"])
    definitions = [definition.name async for definition in module.definitions.all()]
    return JsonResponse({"name": module.name, "definitions": definitions})


async def ask(request: HttpRequest) -> HttpResponse:
    """Query in the request's own thread for synchronous code."""
    return JsonResponse({"pid": await sync_to_async(backend_pid)(seconds_of(request))})


async def ask_elsewhere(request: HttpRequest) -> HttpResponse:
    """Query in a thread of the event loop's executor, which lives on, and give back there."""
    ask_and_give_back = sync_to_async(close_connection(backend_pid), thread_sensitive=False)
    return JsonResponse({"pid": await ask_and_give_back(seconds_of(request))})


async def ask_elsewhere_and_forget(request: HttpRequest) -> HttpResponse:
    """Query in a thread of the event loop's executor, and don't give back."""
    return JsonResponse({"pid": await sync_to_async(backend_pid, thread_sensitive=False)(seconds_of(request))})


async def ask_in_thread(request: HttpRequest) -> HttpResponse:
    """Query by ``asyncio.to_thread``."""
    return JsonResponse({"pid": await asyncio.to_thread(close_connection(backend_pid), seconds_of(request))})


async def gather(request: HttpRequest) -> HttpResponse:
    """Make several queries of each kind at once. Those in the request's own thread run one after the other."""
    here = sync_to_async(backend_pid)
    elsewhere = sync_to_async(close_connection(backend_pid), thread_sensitive=False)
    seconds = seconds_of(request)
    pids = await asyncio.gather(*(here(seconds / 3) for _ in range(3)), *(elsewhere(seconds) for _ in range(3)))
    return JsonResponse({"pids": pids})


async def fail(request: HttpRequest) -> HttpResponse:
    await sync_to_async(backend_pid)()
    raise ValueError("on purpose")


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Return an endless page, with a query for each part."""

    async def parts() -> AsyncIterator[bytes]:
        while True:
            await sync_to_async(backend_pid)()
            yield CHUNK

    return StreamingHttpResponse(parts())


async def leave_task_behind(request: HttpRequest) -> HttpResponse:
    """Start a task that goes on after the end of the request, and make a query in the meantime."""
    task = asyncio.create_task(sync_to_async(backend_pid)(seconds_of(request)))
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)
    await asyncio.sleep(0)
    return HttpResponse("on its way")
