from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smoke_project.settings")

from smoke_project.settings import PROJECT
from smoke_project.whole_messages import deliver_whole_messages

deliver_whole_messages()
app = Celery("smoke_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(PROJECT["celery"])
app.conf.imports = ["smoke_project.tasks", "smoke_project.commands"]

if PROJECT["install"]:
    import celery_geventpool

    celery_geventpool.install(app)
