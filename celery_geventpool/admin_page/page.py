"""The page in Django's admin: who may see and change what, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from ..models import ConnectionPools
from .actions import BadInput, Outcome, Unreachable, close_idle, resize
from .collector import Collector, collector_and_line
from .line import Line

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[ConnectionPools]
else:
    _ModelAdmin = admin.ModelAdmin

_Action = Callable[[Collector, Line, Mapping[str, str]], Outcome]
_View = Callable[[HttpRequest], HttpResponse]

_NO_SESSION = "Nobody is logged in here any more: load the page again."
_NOT_ALLOWED = "Your account doesn't have the permission for this."


class ConnectionPoolsAdmin(_ModelAdmin):
    """The page of all workers' pools, in the place of a list of objects; there are none."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: pools are made by workers."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ConnectionPools | None = None) -> bool:
        """Return False: pools end with their workers."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the page, its numbers and its actions; no pages of objects."""
        return [
            path("", self.admin_site.admin_view(self.changelist_view), name=self._url_name("changelist")),
            path("data/", self._guarded(require_GET(self._data)), name=self._url_name("data")),
            path("resize/", self._guarded(require_POST(self._acting(resize))), name=self._url_name("resize")),
            path(
                "close-idle/", self._guarded(require_POST(self._acting(close_idle))), name=self._url_name("close_idle")
            ),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return the page, which asks for its numbers itself."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Connection pools",
            "opts": self.opts,
            "media": self.media,
            "data_url": self._url("data"),
            "resize_url": self._url("resize"),
            "close_idle_url": self._url("close_idle"),
            "may_change": self.has_change_permission(request),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/celery_geventpool/connection_pools.html", context)

    def _url_name(self, what: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{what}"

    def _url(self, what: str) -> str:
        return reverse(f"admin:{self._url_name(what)}", current_app=self.admin_site.name)

    def _guarded(self, view: _View) -> _View:
        """Return a view for the page's script: where the admin would show its form to log in, it says so."""
        inner = self.admin_site.admin_view(view)

        def guarded(request: HttpRequest) -> HttpResponse:
            if not self.admin_site.has_permission(request):
                return _failure(403, "no_session", _NO_SESSION)
            return inner(request)

        # What waits for workers must not do so in a transaction.
        for alias in connections:
            guarded = transaction.non_atomic_requests(using=alias)(guarded)
        return guarded

    def _data(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            return _failure(403, "forbidden", _NOT_ALLOWED)
        may_change = self.has_change_permission(request)
        _give_back_connections()
        collector, _line = collector_and_line()
        collector.look()
        return JsonResponse({**collector.picture(), "may_change": may_change})

    def _acting(self, action: _Action) -> _View:
        def act(request: HttpRequest) -> HttpResponse:
            if not self.has_change_permission(request):
                return _failure(403, "forbidden", _NOT_ALLOWED)
            user = request.user.pk
            given = {name: str(value) for name, value in request.POST.items()}
            _give_back_connections()
            try:
                outcome = action(*collector_and_line(), given)
            except BadInput as error:
                return _failure(400, "bad_input", str(error))
            except Unreachable as error:
                _log(user, error.outcome)
                return _failure(503, "broker_down", str(error))
            _log(user, outcome)
            return JsonResponse({"changed": outcome.changed, "errors": outcome.errors})

        return act


def _give_back_connections() -> None:
    """Hold no connection while workers are waited for, as nobody should who asks why there are none."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _log(user: Any, outcome: Outcome) -> None:
    """Write what was changed to the admin's log; workers have done it, even if the database is what is in trouble."""
    try:
        content_type = ContentType.objects.get_for_model(ConnectionPools)
        LogEntry.objects.bulk_create(
            LogEntry(
                user_id=user,
                content_type_id=content_type.pk,
                object_repr=subject[:200],
                action_flag=CHANGE,
                change_message=message,
            )
            for subject, message in outcome.log
        )
    except Exception as error:  # noqa: BLE001  it is said, whatever it is
        outcome.fail("", f"The admin's log could not be written ({type(error).__name__}).")


def _failure(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
