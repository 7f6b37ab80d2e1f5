from __future__ import annotations

import json
import os
from typing import Any

PROJECT: dict[str, Any] = json.loads(os.environ["SMOKE_PROJECT"])

SECRET_KEY = "smoke"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

globals().update(PROJECT["django"])
