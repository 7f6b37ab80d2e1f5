from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path


def favicon(request: HttpRequest) -> HttpResponse:
    """Answer what browsers ask for, as a missing one is an error in their console."""
    return HttpResponse(status=204)


urlpatterns = [path("favicon.ico", favicon), path("admin/", admin.site.urls)]
