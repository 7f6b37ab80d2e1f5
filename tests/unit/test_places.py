"""The installed Celery has the functions that the worker side wraps."""

from __future__ import annotations

from tests.support.fresh import run_fresh

CODE = """
import logging, sys
from django.conf import settings

settings.configure(INSTALLED_APPS=[], DATABASES={})
from celery import signals
from celery.worker import control
from celery.utils.dispatch import Signal
from celery.worker.request import Request
from celery_geventpool import outside_tasks, revoking

logging.basicConfig(level="WARNING", format="%(message)s", stream=sys.stdout)
for _ in range(2):
    outside_tasks.install()
    revoking.install()
for function in (Signal.send, Request._announce_revoked, control._revoke):
    assert not hasattr(function.__wrapped__, "__wrapped__"), function
print("installed")
"""


def test_all_are_there_and_each_is_taken_once() -> None:
    assert run_fresh(CODE) == ["installed"]
