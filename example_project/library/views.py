"""Two pages: the list of modules, and one module."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Definition, Module

_PAGE_SIZE = 100


def module_list(request: HttpRequest) -> HttpResponse:
    """Show the modules, with their numbers of functions and classes."""
    kind = Definition.Kind
    modules = Module.objects.annotate(
        functions=Count("definitions", filter=Q(definitions__kind=kind.FUNCTION)),
        classes=Count("definitions", filter=Q(definitions__kind=kind.CLASS)),
    ).order_by("path")
    page = Paginator(modules, _PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "library/module_list.html", {"page": page})


def module_detail(request: HttpRequest, path: str) -> HttpResponse:
    """Show a module and its definitions."""
    module = get_object_or_404(Module.objects.prefetch_related("definitions"), path=path)
    return render(request, "library/module_detail.html", {"module": module})
