"""The demo's additions to the worker, which imports this module by ``--include``."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from celery.signals import worker_process_init, worker_ready
from django.conf import settings

from django_geventpool import patch_psycopg, pools

from .environment import WITH_PAGE
from .garbage import collect_less_garbage
from .pool_numbers import NUMBERS_FOLDER, PoolNumbers
from .whole_messages import deliver_whole_messages

_SECONDS_BETWEEN_NUMBERS = 0.1


def _write_numbers(folder: Path) -> None:
    while True:
        if "default" in pools:
            PoolNumbers.of(pools["default"].stats()).write(folder)
        time.sleep(_SECONDS_BETWEEN_NUMBERS)


# Tasks run in the main process, but with prefork in its children.
@worker_ready.connect
@worker_process_init.connect
def _prepare(**_: object) -> None:
    collect_less_garbage()
    folder = Path(os.environ[NUMBERS_FOLDER])
    threading.Thread(target=_write_numbers, args=(folder,), daemon=True).start()


if WITH_PAGE in os.environ:
    deliver_whole_messages()
if "celery_geventpool" not in settings.INSTALLED_APPS:
    # Otherwise psycopg2 would block the hub, and one greenlet would run after the other.
    patch_psycopg()
