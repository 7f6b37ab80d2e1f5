"""The URLs of the example project's pages and of the tests'."""

from django.urls import include, path

from . import async_views, views

urlpatterns = [
    path("-/numbers", views.numbers),
    path("-/ask", views.ask),
    path("-/fail", views.fail),
    path("-/fail_in_atomic", views.fail_in_atomic),
    path("-/block_process", views.block_process),
    path("-/stream", views.stream),
    path("-/async/orm", async_views.orm),
    path("-/async/ask", async_views.ask),
    path("-/async/ask_elsewhere", async_views.ask_elsewhere),
    path("-/async/ask_elsewhere_and_forget", async_views.ask_elsewhere_and_forget),
    path("-/async/ask_in_thread", async_views.ask_in_thread),
    path("-/async/gather", async_views.gather),
    path("-/async/fail", async_views.fail),
    path("-/async/stream", async_views.stream),
    path("-/async/leave_task_behind", async_views.leave_task_behind),
    path("", include("library.urls")),
]
