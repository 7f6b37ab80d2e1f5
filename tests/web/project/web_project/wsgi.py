"""The WSGI application; it can query the database when it is imported."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "web_project.settings")

application = get_wsgi_application()

if "WEB_ASK_AT_IMPORT" in os.environ:
    from .views import backend_pid

    print(f"process {os.getpid()} asked at import, on connection {backend_pid()}", flush=True)
