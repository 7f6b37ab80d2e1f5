"""Settings of the measured project; those that differ between contenders come from the environment."""

import gc
import json
import os

SECRET_KEY = "for the benchmarks only"
INSTALLED_APPS = [*json.loads(os.environ["BENCH_APPS"]), "subject"]
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

CELERY_TASK_IGNORE_RESULT = True

if "BENCH_GC_THRESHOLD" in os.environ:
    gc.set_threshold(int(os.environ["BENCH_GC_THRESHOLD"]), 10, 10)
