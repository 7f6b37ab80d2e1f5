"""The example project's settings, with the changes that a test makes."""

import json
import os

from project.settings import *  # noqa: F403
from project.settings import DATABASES

ROOT_URLCONF = "web_project.urls"
DATABASES["default"]["OPTIONS"].update(json.loads(os.environ["WEB_OPTIONS"]))
