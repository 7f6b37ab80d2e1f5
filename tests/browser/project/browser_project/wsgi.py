from __future__ import annotations

# The app whose workers the page asks.
import smoke_project.celery  # noqa: F401
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

application = StaticFilesHandler(get_wsgi_application())
