"""The example project's settings, and what a test wants to be different."""

import json
import os

from project.settings import *  # noqa: F403
from project.settings import DATABASES

ROOT_URLCONF = "web_project.urls"
DATABASES["default"]["OPTIONS"].update(json.loads(os.environ["WEB_OPTIONS"]))
