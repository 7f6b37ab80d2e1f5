"""Where Django's admin looks for pages."""

from __future__ import annotations

from django.contrib import admin

from .admin_page.line import remember_app
from .admin_page.page import ConnectionPoolsAdmin
from .models import ConnectionPools

__all__ = ["ConnectionPoolsAdmin"]

remember_app()
admin.site.register(ConnectionPools, ConnectionPoolsAdmin)
